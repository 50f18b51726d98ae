/** A line around the selected entity, also where it stands behind another one. */

import {
  BufferAttribute, BufferGeometry, type Camera, DoubleSide, Mesh, MeshBasicMaterial, NearestFilter, OrthographicCamera, Scene,
  ShaderMaterial, Vector2, Vector3, type WebGLRenderer, WebGLRenderTarget,
} from "three"; // prettier-ignore
import { components } from "./materials.ts";

const FRAGMENT = `
uniform sampler2D mask;
uniform vec2 texel;
uniform vec3 color;
uniform float width;
void main() {
  vec2 at = gl_FragCoord.xy * texel;
  float own = texture2D(mask, at).r;
  float near = 0.0;
  for (int k = 0; k < 8; k++) {
    float angle = 0.7853982 * float(k);
    near = max(near, texture2D(mask, at + width * texel * vec2(cos(angle), sin(angle))).r);
  }
  gl_FragColor = vec4(color, own < 0.5 ? near : 0.0);
}`;

export class Outline {
  private readonly target = new WebGLRenderTarget(1, 1, { minFilter: NearestFilter, magFilter: NearestFilter });
  private readonly white = new MeshBasicMaterial({ color: 0xffffff, side: DoubleSide });
  private readonly lines = new Scene();
  private readonly masked = new Scene();
  private readonly screen = new OrthographicCamera();
  private readonly uniforms = {
    mask: { value: this.target.texture },
    texel: { value: new Vector2() },
    color: { value: new Vector3(...components("#f0a24a")) },
    width: { value: 2 },
  };

  constructor() {
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3));
    const material = new ShaderMaterial({
      vertexShader: "void main() { gl_Position = vec4(position.xy, 0.0, 1.0); }",
      fragmentShader: FRAGMENT,
      uniforms: this.uniforms,
      transparent: true,
      depthTest: false,
      depthWrite: false,
      toneMapped: false,
    });
    const screen = new Mesh(geometry, material);
    screen.frustumCulled = false;
    this.lines.add(screen);
  }

  /** Draws it over what is in the canvas. `thick` is its width in the canvas's pixels. */
  draw(renderer: WebGLRenderer, camera: Camera, meshes: readonly Mesh[], thick: number): void {
    if (!meshes.length) return;
    const size = renderer.getDrawingBufferSize(new Vector2());
    this.target.setSize(size.x, size.y);
    this.masked.clear();
    for (const mesh of meshes) {
      const copy = new Mesh(mesh.geometry, this.white);
      copy.matrixAutoUpdate = false;
      copy.matrix.copy(mesh.matrixWorld);
      this.masked.add(copy);
    }
    renderer.setRenderTarget(this.target);
    renderer.setClearColor(0x000000, 1);
    renderer.clear();
    renderer.render(this.masked, camera);
    renderer.setRenderTarget(null);
    this.uniforms.texel.value.set(1 / size.x, 1 / size.y);
    this.uniforms.width.value = thick;
    renderer.render(this.lines, this.screen);
  }
}
