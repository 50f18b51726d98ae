/** What the top bar lets a person choose among. */

export const PLACES = [
  { value: "objects", label: "Objects", hint: "Mark objects on the photo and lift them" },
  { value: "direct", label: "Scene", hint: "Direct the scene in 3D" },
  { value: "compare", label: "Compare", hint: "Preview, normals and generated video side by side" },
] as const;

export const VIEWS = [
  { value: "shaded", label: "Shaded", hint: "Shapes in their colours, lit (1)" },
  { value: "textured", label: "Textured", hint: "The photo's colours (2)" },
  { value: "normals", label: "Normals", hint: "What the video model is given (3)" },
  { value: "ids", label: "Ids", hint: "Which object is where (4)" },
] as const;
