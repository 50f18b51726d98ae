import "./style.css";
import "./layout.css";
import { render } from "preact";
import { CameraPanel } from "./camera/CameraPanel.tsx";
import { Compare } from "./compare/Compare.tsx";
import { GeneratePanel } from "./generate/GeneratePanel.tsx";
import { Inspector } from "./inspector/Inspector.tsx";
import { Marking } from "./marking/Marking.tsx";
import { Messages } from "./messages/Messages.tsx";
import { Outliner } from "./outliner/Outliner.tsx";
import { keep } from "./page.ts";
import { begin, redo, undo } from "./session.ts";
import { listenToKeys, shortcut } from "./shortcuts/registry.ts";
import { Sheet } from "./shortcuts/Sheet.tsx";
import { Splitter } from "./Splitter.tsx";
import { StartScreen } from "./start/StartScreen.tsx";
import { document_, place, selected, tab, view, workspace } from "./state.ts";
import { TakesPanel } from "./takes/TakesPanel.tsx";
import { Timeline } from "./timeline/Timeline.tsx";
import { TopBar } from "./topbar/TopBar.tsx";
import { VIEWS } from "./topbar/choices.ts";
import { Viewport } from "./viewport/Viewport.tsx";

const sizes = { left: keep("left", 220), right: keep("right", 300), bottom: keep("bottom", 220) };

function Middle() {
  const hasScene = document_.value?.scene != null;
  if (place.value === "compare") return <Compare />;
  return place.value === "objects" || !hasScene ? <Marking /> : <Viewport />;
}

function Shot() {
  return (
    <>
      <Inspector />
      {selected.value === "" && <CameraPanel />}
    </>
  );
}

const TABS = [
  { id: "shot", label: "Shot", Panel: Shot },
  { id: "generate", label: "Generate", Panel: GeneratePanel },
  { id: "takes", label: "Takes", Panel: TakesPanel },
] as const;

function Right() {
  const Panel = TABS.find((one) => one.id === tab.value)?.Panel;
  return (
    <aside class="right panel" aria-label="Settings">
      <div class="tabs" role="tablist" aria-label="Settings">
        {TABS.map((one) => (
          <button type="button" role="tab" key={one.id} aria-selected={tab.value === one.id} onClick={() => (tab.value = one.id)}>
            {one.label}
          </button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel">
        {Panel && <Panel />}
      </div>
    </aside>
  );
}

function Workplace() {
  const [left, right, bottom] = [sizes.left.value, sizes.right.value, sizes.bottom.value];
  const timeline = document_.value?.scene != null && place.value !== "objects";
  return (
    <div class="studio" style={{ "--left": `${left}px`, "--right": `${right}px`, "--bottom": `${bottom}px` }}>
      <TopBar />
      <aside class="left panel" aria-label="Objects">
        <Outliner />
      </aside>
      <main class="middle">
        <Middle />
      </main>
      <Right />
      {timeline && (
        <section class="bottom" aria-label="Timeline">
          <Timeline />
        </section>
      )}
      <Splitter at={sizes.left} sign={1} axis="x" least={160} most={420} label="Width of the object list" place="left-edge" />
      <Splitter at={sizes.right} sign={-1} axis="x" least={260} most={520} label="Width of the settings" place="right-edge" />
      {timeline && <Splitter at={sizes.bottom} sign={-1} axis="y" least={90} most={520} label="Height of the timeline" place="bottom-edge" />}
    </div>
  );
}

function Studio() {
  return (
    <>
      {workspace.value && document_.value ? <Workplace /> : <StartScreen />}
      <Messages />
      <Sheet />
    </>
  );
}

shortcut("Ctrl+z", "Undo", () => void undo());
shortcut("Ctrl+Shift+z", "Redo", () => void redo());
shortcut("Ctrl+y", "Redo", () => void redo());
VIEWS.forEach(({ value, label }, index) => {
  shortcut(`${index + 1}`, `${label} view`, () => (view.value = value), { group: "View" });
});
listenToKeys();
void begin();
render(<Studio />, document.getElementById("studio") as HTMLElement);
