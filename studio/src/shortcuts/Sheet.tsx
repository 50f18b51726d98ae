import { signal } from "@preact/signals";
import { Fragment } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { shortcut, shortcuts } from "./registry.ts";
import "./Sheet.css";

export const sheetOpen = signal(false);

shortcut("?", "Show this sheet", () => {
  sheetOpen.value = true;
});

const SIGNS: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Delete: "Del",
  Escape: "Esc",
};

const shown = (keys: string) => {
  const parts = keys.split(/\+(?=.)/);
  return parts.map((part) => <kbd key={part}>{SIGNS[part] ?? (part.length === 1 ? part.toUpperCase() : part)}</kbd>);
};

/** The sheet of shortcuts, by group; one label with several keys is one line. */
export function Sheet() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (sheetOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [sheetOpen.value]);
  const groups = new Map<string, Map<string, string[]>>();
  for (const { group, label, keys } of shortcuts.value) {
    const lines = groups.get(group) ?? new Map<string, string[]>();
    groups.set(group, lines.set(label, [...new Set([...(lines.get(label) ?? []), keys])]));
  }
  const close = () => {
    sheetOpen.value = false;
  };
  return (
    <dialog ref={dialog} class="sheet" aria-label="Keyboard shortcuts" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <div class="sheet-inside">
        <header>
          <h2>Keyboard shortcuts</h2>
          <button type="button" class="quiet" onClick={close}>
            Close
          </button>
        </header>
        <div class="sheet-groups">
          {[...groups].map(([group, lines]) => (
            <section key={group}>
              <h3>{group}</h3>
              <dl>
                {[...lines].map(([label, keys]) => (
                  <Fragment key={label}>
                    <dt>{label}</dt>
                    <dd>
                      {keys.map((one) => (
                        <span key={one}>{shown(one)}</span>
                      ))}
                    </dd>
                  </Fragment>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </div>
    </dialog>
  );
}
