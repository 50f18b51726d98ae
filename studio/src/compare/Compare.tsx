import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Clip, clipOf, clips, leftVideo, mode, rightVideo, wipe } from "./choices.ts";
import { inStep } from "./sync.ts";
import "./Compare.css";

/** Two videos in step with the timeline: a line between them, or side by side. */
export function Compare() {
  const [left, right] = [clipOf(leftVideo.value), clipOf(rightVideo.value)];
  if (!left || !right) return <p class="empty">There is nothing to compare yet. Previews are made in the background; generate makes videos.</p>;
  return (
    <div class="compare">
      <div class="compare-bar row">
        <Choose label="Left" at={leftVideo} clip={left} />
        <div class="segmented" role="radiogroup" aria-label="How to compare">
          {(["wipe", "beside"] as const).map((one) => (
            <button type="button" role="radio" key={one} aria-checked={mode.value === one} onClick={() => (mode.value = one)}>
              {one === "wipe" ? "Wipe" : "Side by side"}
            </button>
          ))}
        </div>
        <Choose label="Right" at={rightVideo} clip={right} />
      </div>
      {mode.value === "wipe" ? <Wipe left={left} right={right} /> : <Beside left={left} right={right} />}
    </div>
  );
}

function Choose({ label, at, clip }: { label: string; at: Signal<string>; clip: Clip }) {
  return (
    <label class="row grow">
      <span class="dim">{label}</span>
      <select aria-label={`${label} video`} value={clip.id} onChange={(event) => (at.value = event.currentTarget.value)}>
        {clips.value.map((one) => (
          <option key={one.id} value={one.id}>
            {one.title}
            {one.stale && ` (${one.stale})`}
          </option>
        ))}
      </select>
      {clip.stale && <span class="stale cut">{clip.stale}</span>}
    </label>
  );
}

function Film({ clip, label }: { clip: Clip; label: string }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => (video.current ? inStep(video.current) : undefined), [clip.url]);
  return <video key={clip.url} ref={video} aria-label={`${label}: ${clip.title}`} src={clip.url} muted playsInline preload="auto" />;
}

function Beside({ left, right }: { left: Clip; right: Clip }) {
  return (
    <div class="compare-beside">
      <Film clip={left} label="Left" />
      <Film clip={right} label="Right" />
    </div>
  );
}

function Wipe({ left, right }: { left: Clip; right: Clip }) {
  const stage = useRef<HTMLDivElement>(null);
  const move = (event: PointerEvent) => {
    const box = stage.current?.getBoundingClientRect();
    if (box && event.buttons & 1) wipe.value = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const take = (event: PointerEvent) => {
    stage.current?.setPointerCapture(event.pointerId);
    move(event);
  };
  const step = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    wipe.value = Math.min(1, Math.max(0, wipe.value + by));
  };
  return (
    <div class="compare-wipe" ref={stage} style={{ "--wipe": `${100 * wipe.value}%` }} onPointerDown={take} onPointerMove={move}>
      <Film clip={left} label="Left" />
      <div class="compare-over">
        <Film clip={right} label="Right" />
      </div>
      <div
        class="compare-line"
        role="slider"
        tabIndex={0}
        aria-label="Where the left video ends"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(100 * wipe.value)}
        onKeyDown={step}
      />
    </div>
  );
}
