import { render } from "preact";

render(<p>Studio</p>, document.getElementById("studio") as HTMLElement);
