import { useEffect } from "preact/hooks";
import { dismiss, messages } from "../state.ts";
import { Icon } from "../ui/Icon.tsx";
import "./Messages.css";

/** What the studio has to say, at the lower edge of the viewport; notes go by themselves, errors stay until closed. */
export function Messages() {
  return (
    <ul class="messages" aria-live="polite" aria-label="Messages">
      {messages.value.slice(-4).map((message) => (
        <Message key={message.id} {...message} />
      ))}
    </ul>
  );
}

function Message({ id, kind, text }: { id: number; kind: "error" | "note"; text: string }) {
  useEffect(() => {
    if (kind !== "note") return;
    const timer = setTimeout(() => dismiss(id), 6000);
    return () => clearTimeout(timer);
  }, [id, kind]);
  return (
    <li class={kind} role={kind === "error" ? "alert" : "status"}>
      <span>{text}</span>
      <button type="button" class="quiet icon" aria-label="Close this message" onClick={() => dismiss(id)}>
        <Icon name="close" />
      </button>
    </li>
  );
}
