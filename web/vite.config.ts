// How the whiteboard is built and served while it is being worked on.

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The server that the dev server passes `/v1` on to. */
declare const process: { env: { readonly REVCAST_URL?: string } };
const server = process.env.REVCAST_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  // The hooks are linked in from a folder with a React of its own.
  resolve: { dedupe: ["react", "react-dom"] },
  build: {
    target: "es2022",
    // Nothing inline: the page runs under a strict Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": { target: server, ws: true } } },
});
