/**
 * The photo behind the scene: on the ground plane and on a far wall, as the preview has it (rendering/backdrop.py), so that
 * it is exactly the photo for the photo's camera and moves as a background does for others.
 */

import { BufferAttribute, BufferGeometry, Matrix4, Mesh, ShaderMaterial, type Texture, Vector2, Vector3, Vector4 } from "three";
import type { Intrinsics, SceneData } from "../types.ts";

const FRAGMENT = `
uniform sampler2D photo;
uniform mat4 photoFromCamera;
uniform vec4 lens;        // fx, fy, cx, cy in pixels of the canvas
uniform float canvasHeight;
uniform vec4 photoLens;   // fx, fy, cx, cy in pixels of the photo
uniform vec2 photoSize;
uniform vec3 up;          // in the photo's camera
uniform vec3 wall;        // level direction to the wall
uniform float eyeHeight;  // of the photo's camera above the ground, 0 without one
uniform float wallDistance;
uniform float strength;
uniform vec3 plain;

void main() {
  vec2 pixel = vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y);
  vec3 ray = mat3(photoFromCamera) * vec3((pixel.x - lens.z) / lens.x, (lens.w - pixel.y) / lens.y, -1.0);
  vec3 eye = photoFromCamera[3].xyz;
  float far = 1e9;
  float falling = -dot(up, ray);
  float above = eyeHeight + dot(up, eye);
  if (eyeHeight > 0.0 && falling > 1e-9 && above > 0.0) far = above / falling;
  float approaching = dot(wall, ray);
  float before = wallDistance - dot(wall, eye);
  if (wallDistance > 0.0 && approaching > 1e-9 && before > 0.0) far = min(far, before / approaching);
  vec3 point = far < 1e9 ? eye + far * ray : ray;
  vec3 found = plain;
  if (point.z < 0.0) {
    vec2 at = vec2(photoLens.z - photoLens.x * point.x / point.z, photoLens.w + photoLens.y * point.y / point.z) / photoSize;
    vec2 beyond = max(max(-at, at - 1.0), 0.0);
    float outside = max(beyond.x, beyond.y);
    vec2 mirrored = 1.0 - abs(1.0 - mod(at, 2.0));
    // Beyond its border the photo goes on mirrored and blurred, and ends soon.
    float blur = outside > 0.0 ? log2(1.0 + outside * 1500.0) : 0.0;
    vec3 color = textureLod(photo, mirrored, blur).rgb;
    found = mix(color, plain, max(smoothstep(0.0, 0.4, outside), 1.0 - strength));
  }
  gl_FragColor = vec4(found, 1.0);
}`;

/** Brightness of the photo behind things that it still shows elsewhere. */
export const DIMMED = 0.5;

export class Backdrop {
  readonly mesh: Mesh<BufferGeometry, ShaderMaterial>;

  constructor() {
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3));
    const uniforms = {
      photo: { value: null as Texture | null },
      photoFromCamera: { value: new Matrix4() },
      lens: { value: new Vector4() },
      canvasHeight: { value: 1 },
      photoLens: { value: new Vector4() },
      photoSize: { value: new Vector2(1, 1) },
      up: { value: new Vector3(0, 1, 0) },
      wall: { value: new Vector3(0, 0, -1) },
      eyeHeight: { value: 0 },
      wallDistance: { value: 0 },
      strength: { value: 1 },
      plain: { value: new Vector3(0.1, 0.11, 0.125) },
    };
    const material = new ShaderMaterial({
      vertexShader: "void main() { gl_Position = vec4(position.xy, 1.0, 1.0); }",
      fragmentShader: FRAGMENT,
      uniforms,
      depthTest: false,
      depthWrite: false,
      toneMapped: false,
    });
    this.mesh = new Mesh(geometry, material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = -10;
    this.mesh.visible = false;
  }

  private set(name: string, value: unknown): void {
    (this.mesh.material.uniforms[name] as { value: unknown }).value = value;
  }

  /** Takes over where the photo was taken. `farthest` is how far along its level line of sight the objects reach. */
  stand(photo: Texture, scene: SceneData, farthest: number): void {
    const photoFromWorld = new Matrix4().fromArray(scene.photoWorldFromCamera).invert();
    const up = new Vector3(0, 1, 0).transformDirection(photoFromWorld);
    const level = new Vector3(0, 0, -1).addScaledVector(up, up.z);
    const height = scene.groundY === null ? 0 : (scene.photoWorldFromCamera[13] ?? 0) - scene.groundY;
    const { fx, fy, cx, cy, width, height: rows } = scene.intrinsics;
    this.set("photo", photo);
    this.set("photoLens", new Vector4(fx, fy, cx, cy));
    this.set("photoSize", new Vector2(width, rows));
    this.set("up", up);
    this.set("wall", level.length() > 1e-3 ? level.normalize() : new Vector3(0, 0, -1));
    this.set("eyeHeight", Math.max(height, 0));
    this.set("wallDistance", height > 0 ? 0.9 * farthest : 0);
  }

  /** Shows another picture of the photo's size. */
  show(photo: Texture): void {
    this.set("photo", photo);
  }

  /** Draws it for a camera: its pose in the photo's, its lens in pixels of what is drawn. */
  seen(photoFromCamera: Matrix4, lens: Intrinsics, strength: number): void {
    this.set("photoFromCamera", photoFromCamera);
    this.set("lens", new Vector4(lens.fx, lens.fy, lens.cx, lens.cy));
    this.set("canvasHeight", lens.height);
    this.set("strength", strength);
  }
}
