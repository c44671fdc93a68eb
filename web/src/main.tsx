// Where the page begins.

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import { Mishap } from "./home/mishap.js";
import { NoSuchPage } from "./home/no-such-page.js";
import "./style.css";

/** All places are behind the `#`. The server gives the page at any address, so that there is somebody to say that it is none. */
const isThePage = /^\/(index\.html)?$/.test(location.pathname);

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Mishap>{isThePage ? <App /> : <NoSuchPage />}</Mishap>
    </StrictMode>,
  );
}

// The page opens without a network, too. In development there is nothing to keep.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  // Where there may be none, as without TLS or in a sandbox, the page works all the same.
  keepPage().catch(() => {});
}

async function keepPage(): Promise<void> {
  await navigator.serviceWorker.register("/sw.js");
}
