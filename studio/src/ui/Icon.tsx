/** The page's icons: strokes on a grid of 16 × 16, in the colour of the text around them. */

const PATHS = {
  close: "M4 4l8 8M12 4l-8 8",
  undo: "M6 3L3 6l3 3M3 6h6.5a3.5 3.5 0 010 7H6",
  redo: "M10 3l3 3-3 3M13 6H6.5a3.5 3.5 0 000 7H10",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6.200a1.8 1.8 0 100 3.6 1.8 1.8 0 000-3.600z",
  eyeOff: "M2 2l12 12M6.2 3.800A6 6 0 018 3.500C12 3.5 14.5 8 14.5 8a12 12 0 01-1.9 2.400M4 5.200A12 12 0 001.5 8S4 12.5 8 12.500a6 6 0 002.6-.6",
  lock: "M4 7.500h8v5.500H4zM5.5 7.500V5.500a2.5 2.5 0 015 0v2",
  unlock: "M4 7.500h8v5.500H4zM5.5 7.500V5.500a2.5 2.5 0 014.8-1",
  copy: "M5.5 5.500h7.500v7.500H5.500zM3 10.500V3h7.5",
  trash: "M3 4.500h10M6 4.500V3h4v1.500M4.5 4.500l.6 8.500h5.800l.6-8.500M6.8 7v3.500M9.2 7v3.5",
  camera: "M1.5 5h8.500v7H1.500zM10 8.500l4.5-2.500v5L10 8.5",
  move: "M8 1.500v13M1.5 8h13M8 1.500L6.2 3.300M8 1.500l1.8 1.800M8 14.500l-1.8-1.800M8 14.500l1.8-1.800M1.5 8l1.8-1.800M1.5 8l1.8 1.800M14.5 8l-1.8-1.800M14.5 8l-1.8 1.8",
  turn: "M13 8a5 5 0 11-1.8-3.800M13 2.500v2.700h-2.7",
  scale: "M3 13V8.500M3 13h4.500M3 13l10-10M13 3v4.500M13 3H8.5",
  ground: "M2 13h12M8 2v7.500M8 9.500L5.5 7M8 9.500L10.5 7",
  warning: "M8 2.500l6 10.500H2zM8 6.500v3M8 11.200v.3",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  chevron: "M6 3.500l4.5 4.500L6 12.5",
  down: "M3.5 6L8 10.5 12.5 6",
  back: "M10 3.500L5.5 8l4.5 4.5",
  photo: "M2 3.500h12v9H2zM2 11l3.5-3.5 3 3L11 8l3 3M10.5 6h.1",
  play: "M5 3l8 5-8 5z",
  pause: "M5.5 3v10M10.5 3v10",
  help: "M6 6a2 2 0 112.8 1.800c-.5.3-.8.7-.8 1.400M8 11.800v.1M8 14.500a6.5 6.5 0 100-13 6.5 6.5 0 000 13z",
  download: "M8 2.500v7.500M8 10L5 7M8 10l3-3M3 13.500h10",
  cube: "M8 1.800l5.5 3v6.400L8 14.200l-5.5-3V4.800zM2.5 4.800L8 8l5.5-3.200M8 8v6.2",
  globe: "M8 14.500a6.5 6.5 0 100-13 6.5 6.5 0 000 13zM1.5 8h13M8 1.500c2.2 2 2.2 11 0 13M8 1.500c-2.2 2-2.2 11 0 13",
  snap: "M4 2.500v6a4 4 0 008 0v-6h-2.500v6a1.5 1.5 0 01-3 0v-6zM4 5h2.500M9.5 5H12",
  film: "M2 3.5h12v9H2zM5 3.5v9M11 3.5v9M2 6.5h3M2 9.5h3M11 6.5h3M11 9.5h3",
  frustum: "M2 8l10-5.500v11zM12 2.500h2M12 13.500h2",
  toStart: "M4 3.500v9M12.5 3.500L6.5 8l6 4.5z",
  toEnd: "M12 3.500v9M3.5 3.500L9.5 8l-6 4.5z",
  stepBack: "M10.5 3.500L5 8l5.5 4.500",
  stepOn: "M5.5 3.500L11 8l-5.500 4.500",
  loop: "M4.5 11.500H11a3 3 0 003-3v-.5M11.5 4.500H5a3 3 0 00-3 3v.5M9.5 2.500l2 2-2 2M6.5 9.500l-2 2 2 2",
  key: "M8 3l5 5-5 5-5-5z",
  paste: "M5 3.500H3.500v10h9v-10H11M5.500 2.500h5v2.500h-5z",
  curve: "M2 13C7 13 9 3 14 3M2 3v10h12",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon-drawing" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
