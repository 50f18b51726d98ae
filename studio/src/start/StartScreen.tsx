import { useRef, useState } from "preact/hooks";
import { open, openPhoto, serverStatus } from "../session.ts";
import type { WorkspaceData } from "../types.ts";
import { Icon } from "../ui/Icon.tsx";
import "./StartScreen.css";

/** What there is to open: a photo from the disk, or a workspace from before. */
export function StartScreen() {
  const found = serverStatus.value;
  return (
    <main class="start">
      <div class="start-inside">
        <h1>Studio</h1>
        <p class="dim">Direct a photo: its objects in 3D, seen by the photo's own camera.</p>
        <PhotoDrop />
        <section aria-labelledby="workspaces-title">
          <h2 id="workspaces-title">Workspaces</h2>
          {found?.workspaces.length ? (
            <ul class="workspaces">
              {found.workspaces.map((one) => (
                <WorkspaceRow key={one.id} {...one} />
              ))}
            </ul>
          ) : (
            <p class="dim">{found ? "None yet. The first photo makes one." : "Waiting for the server…"}</p>
          )}
        </section>
        {found && <p class="faint">Real2SAM2Real {found.version}</p>}
      </div>
    </main>
  );
}

function PhotoDrop() {
  const picker = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState("");
  const take = async (photo: File | undefined) => {
    if (!photo) return;
    setBusy(photo.name);
    await openPhoto(photo);
    setBusy("");
  };
  return (
    <section
      class={`photo-drop${over ? " over" : ""}`}
      aria-label="Drop a photo here"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take(event.dataTransfer?.files[0]);
      }}
    >
      <Icon name="photo" />
      <p>{busy ? `Opening ${busy}…` : "Drop a photo here"}</p>
      <button type="button" class="primary" disabled={busy !== ""} onClick={() => picker.current?.click()}>
        Choose a photo
      </button>
      <input
        ref={picker}
        type="file"
        accept="image/*,.heic,.exr"
        aria-label="Photo"
        hidden
        onChange={(event) => {
          void take(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
    </section>
  );
}

function WorkspaceRow({ id, name, changed, hasScene }: WorkspaceData) {
  return (
    <li>
      <button type="button" onClick={() => void open(id)}>
        <Icon name={hasScene ? "cube" : "photo"} />
        <span class="grow cut">{name}</span>
        <span class="dim">{hasScene ? "scene" : "photo"}</span>
        <span class="dim number">{when(changed)}</span>
      </button>
    </li>
  );
}

const when = (changed: string) => {
  const time = new Date(changed);
  return Number.isNaN(time.getTime()) ? changed : time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
};
