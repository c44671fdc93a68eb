// A screen that says one thing.

import type { ReactNode } from "react";
import { Logo } from "./logo.js";

export function Message({ title, text, children }: { title: string; text?: string; children?: ReactNode }) {
  return (
    <main className="message" aria-live="polite">
      <div className="card">
        <Logo />
        <h1>{title}</h1>
        {text !== undefined && <p>{text}</p>}
        {children !== undefined && <div className="row">{children}</div>}
      </div>
    </main>
  );
}
