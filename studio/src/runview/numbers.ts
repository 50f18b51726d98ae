/** Numbers that were packed small. */

/** Shares of 65535 of each column's range, as numbers. */
export function unpacked(shares: Uint16Array, low: readonly number[], span: readonly number[]): Float32Array {
  const columns = low.length;
  return Float32Array.from(shares, (share, at) => (low[at % columns] ?? 0) + ((span[at % columns] ?? 0) * share) / 65535);
}

/** Linear light of an sRGB byte. */
export function linear(code: number): number {
  const value = code / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** The frame of a shot at a time of its video; `fps` is the shot's. */
export const frameAt = (seconds: number, frames: number, fps: number): number => Math.min(frames - 1, Math.max(0, Math.floor(seconds * fps + 0.01)));
