/** Focal lengths as photographers say them: on a sensor that is 36 mm wide. */

export const millimetresOf = (focalPixels: number, widthPixels: number): number => (focalPixels / widthPixels) * 36;

/** Horizontal field of view in degrees. */
export const fovOf = (mm: number): number => (2 * Math.atan(18 / mm) * 180) / Math.PI;
