/** How a mesh looks in each view. All colours are sRGB codes from texture to pixel, as in the renderer: no conversion. */

import { Matrix4, ShaderMaterial, type Texture, Vector3 } from "three";
import type { view } from "../state.ts";

export type View = typeof view.value;

export const MODES: Record<View, number> = { shaded: 0, textured: 1, normals: 2, ids: 3 };

/** From the scene towards the light, in world space; `Light` of rendering/frame.py. */
const LIGHT = new Vector3(0.3, 0.8, 0.5).normalize();

const VERTEX = `
varying vec3 vNormalCamera;
varying vec2 vTexture;
varying vec3 vPaint;
void main() {
  vNormalCamera = normalMatrix * normal;
  vTexture = uv;
  #ifdef USE_COLOR
    vPaint = color.rgb;
  #else
    vPaint = vec3(1.0);
  #endif
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const FRAGMENT = `
uniform int mode;
uniform vec3 entityColor;
uniform vec3 lightCamera;
uniform float opacity;
#ifdef TEXTURED
  uniform sampler2D pixels;
#endif
varying vec3 vNormalCamera;
varying vec2 vTexture;
varying vec3 vPaint;

vec3 srgb(vec3 linear) {
  return mix(linear * 12.92, 1.055 * pow(max(linear, 0.0), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, linear));
}

vec3 surface() {
  #ifdef TEXTURED
    return texture2D(pixels, vTexture).rgb;
  #elif defined(USE_COLOR)
    return srgb(vPaint);
  #else
    return vec3(0.5);
  #endif
}

void main() {
  vec3 normal = normalize(vNormalCamera);
  vec3 found = entityColor;
  if (mode == 2) found = normal * 0.5 + 0.5;
  if (mode == 1) found = surface();
  if (mode == 0) {
    vec3 clay = mix(vec3(0.82), entityColor, 0.35);
    float side = 0.12 * max(0.0, normal.z);
    found = clay * min(0.38 + 0.55 * max(0.0, dot(normal, lightCamera)) + side, 1.0);
  }
  gl_FragColor = vec4(found, opacity);
}`;

/** The one material of an entity; `mode` says which view it draws. */
export class EntityMaterial extends ShaderMaterial {
  constructor(color: string, pixels: Texture | null, painted: boolean) {
    super({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      vertexColors: painted && !pixels,
      defines: pixels ? { TEXTURED: "" } : {},
      uniforms: {
        mode: { value: 0 },
        entityColor: { value: new Vector3(...components(color)) },
        lightCamera: { value: new Vector3(0, 0, 1) },
        opacity: { value: 1 },
        pixels: { value: pixels },
      },
      toneMapped: false,
    });
  }

  set mode(mode: number) {
    (this.uniforms.mode as { value: number }).value = mode;
  }

  set color(color: string) {
    (this.uniforms.entityColor as { value: Vector3 }).value.set(...components(color));
  }

  /** Turns the light into the camera's frame. */
  lightFrom(cameraFromWorld: Matrix4): void {
    (this.uniforms.lightCamera as { value: Vector3 }).value.copy(LIGHT).transformDirection(cameraFromWorld);
  }
}

/** Red, green and blue in 0…1 of "#rrggbb". */
export function components(color: string): [number, number, number] {
  const code = Number.parseInt(color.slice(1), 16);
  return [(code >> 16) / 255, ((code >> 8) & 255) / 255, (code & 255) / 255];
}
