import { keepDraft, tryKeyframe } from "../live.ts";
import { MoveList } from "../moves/MoveEditor.tsx";
import { poseAt, zoomAt } from "../motion.ts";
import { document_, frame, freeView, motion, saveShot } from "../state.ts";
import { keyNow } from "../timeline/picking.ts";
import { Icon } from "../ui/Icon.tsx";
import "./camera.css";
import { fovOf, millimetresOf } from "./lens.ts";

/** The camera: its lens and keys at the playhead, and its moves. */
export function CameraPanel() {
  if (!document_.value?.scene) return null;
  return (
    <>
      <section class="section" aria-label="Camera at the playhead">
        <h3>At the playhead</h3>
        <Lens />
        <KeyFromView />
      </section>
      <MoveList target="" />
      <Seed />
    </>
  );
}

/** Focal length; a change is a key of the camera at the playhead. */
function Lens() {
  const [now, scene] = [motion.value, document_.value?.scene];
  if (!now || !scene) return null;
  const { fx, width } = scene.intrinsics;
  const mm = millimetresOf(fx * zoomAt(now, frame.value), width);
  const fov = fovOf(mm);
  const attempt = (wanted: number) => {
    const pose = poseAt(now, "", frame.value);
    if (pose && wanted > 0) tryKeyframe("", frame.value, pose, wanted / millimetresOf(fx, width));
  };
  const keep = () => void keepDraft("Focal length");
  const set = (wanted: number) => {
    attempt(wanted);
    keep();
  };
  return (
    <>
      <div class="field">
        <span class="label">Lens</span>
        <div class="cam-lens">
          <input type="range" aria-label="Focal length" min={0} max={1000} value={toPlace(mm)} onInput={(event) => attempt(fromPlace(event.currentTarget.valueAsNumber))} onChange={keep} />
          <input type="number" class="number" aria-label="Focal length in mm" min={1} step={1} value={Number(mm.toFixed(1))} onChange={(event) => set(event.currentTarget.valueAsNumber)} />
          <span class="dim" title="On a 36 mm wide sensor">mm</span>
        </div>
      </div>
      <div class="field">
        <span class="label">View</span>
        <div class="cam-lens">
          <span class="grow dim">horizontal field of view</span>
          <input type="number" class="number" aria-label="Field of view in degrees" min={1} max={170} step={1} value={Number(fov.toFixed(1))} onChange={(event) => set(18 / Math.tan((event.currentTarget.valueAsNumber * Math.PI) / 360))} />
          <span class="dim">deg</span>
        </div>
      </div>
    </>
  );
}

const [WIDE, LONG] = [10, 300];
const toPlace = (mm: number) => (1000 * Math.log(mm / WIDE)) / Math.log(LONG / WIDE);
const fromPlace = (place: number) => Number((WIDE * (LONG / WIDE) ** (place / 1000)).toPrecision(3));

function KeyFromView() {
  const free = freeView.value !== null;
  return (
    <button type="button" class="cam-key" title="Keeps the view as a key of the camera at the playhead (K)" onClick={() => void keyNow("")}>
      <Icon name="key" /> {free ? "Key from this free view" : "Key here"}
    </button>
  );
}

/** Which of the endless shakes: of handheld moves that have no seed of their own. */
function Seed() {
  const seed = document_.value?.shot.seed ?? 0;
  const set = (wanted: number) => {
    if (Number.isInteger(wanted) && wanted >= 0) void saveShot(`Seed ${wanted}`, (shot) => ({ ...shot, seed: wanted }));
  };
  return (
    <section class="section" aria-label="Seed">
      <div class="field" title="For handheld moves that have no seed of their own">
        <label for="shot-seed">Seed</label>
        <input id="shot-seed" type="number" class="number" min={0} step={1} value={seed} onChange={(event) => set(event.currentTarget.valueAsNumber)} />
      </div>
    </section>
  );
}
