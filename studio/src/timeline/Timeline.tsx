import { useEffect, useRef } from "preact/hooks";
import { Curves } from "./Curves.tsx";
import { curvesOpen } from "./curves.ts";
import { DopeSheet } from "./DopeSheet.tsx";
import { MARGIN, NAMES, room, zoom } from "./scale.ts";
import "./shortcuts.ts";
import "./timeline.css";
import { Transport } from "./Transport.tsx";

/** The timeline: playing, the dope sheet of the camera and of every entity, and curves. */
export function Timeline() {
  const main = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!main.current) return;
    const sizes = new ResizeObserver(([entry]) => {
      room.value = Math.max((entry?.contentRect.width ?? 800) - NAMES - 12, 4 * MARGIN);
    });
    sizes.observe(main.current);
    return () => sizes.disconnect();
  }, []);
  const onWheel = (event: WheelEvent) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom.value = Math.min(Math.max(zoom.value * Math.exp(-event.deltaY / 300), 1), 40);
  };
  return (
    <div class="tl">
      <Transport />
      <div class="tl-main">
        <div class="tl-sheet" ref={main} onWheel={onWheel}>
          <DopeSheet />
        </div>
        {curvesOpen.value && <Curves />}
      </div>
    </div>
  );
}
