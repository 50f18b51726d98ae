/** A pose as numbers for people: place, turn, pitch and roll in the world, scale along its own axes. */

import { Euler, Matrix4, Quaternion, Vector3 } from "three";

export interface PoseNumbers {
  x: number;
  y: number;
  z: number;
  /** Degrees: turn to its right (clockwise from above), pitch with the front up, roll to its right. */
  turn: number;
  pitch: number;
  roll: number;
  sx: number;
  sy: number;
  sz: number;
}

const DEGREES = 180 / Math.PI;

/** Numbers of a pose (16 numbers, column-major); `facing` is where the front points, degrees about +Y from +Z. */
export function numbersOf(pose: readonly number[], facing: number): PoseNumbers {
  const [place, rotation, scale] = [new Vector3(), new Quaternion(), new Vector3()];
  new Matrix4().fromArray(pose).decompose(place, rotation, scale);
  const front = new Quaternion().setFromAxisAngle(new Vector3(0, 1, 0), facing / DEGREES);
  // In axes that have the front as +Z.
  const turned = front.clone().invert().multiply(rotation).multiply(front);
  const angles = new Euler().setFromQuaternion(turned, "YXZ");
  return {
    x: place.x, y: place.y, z: place.z,
    turn: -angles.y * DEGREES, pitch: -angles.x * DEGREES, roll: angles.z * DEGREES,
    sx: scale.x, sy: scale.y, sz: scale.z,
  }; // prettier-ignore
}

/** The pose of numbers; the inverse of `numbersOf`. */
export function poseOf(numbers: PoseNumbers, facing: number): Matrix4 {
  const { x, y, z, turn, pitch, roll, sx, sy, sz } = numbers;
  const front = new Quaternion().setFromAxisAngle(new Vector3(0, 1, 0), facing / DEGREES);
  const turned = new Quaternion().setFromEuler(new Euler(-pitch / DEGREES, -turn / DEGREES, roll / DEGREES, "YXZ"));
  const rotation = front.clone().multiply(turned).multiply(front.clone().invert());
  return new Matrix4().compose(new Vector3(x, y, z), rotation, new Vector3(sx, sy, sz));
}
