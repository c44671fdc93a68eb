// An address that leads nowhere.

import { useEffect } from "react";
import { Message } from "./message.js";

export function NoSuchPage({ what = "page" }: { what?: "page" | "drawing" }) {
  const title = `There is no such ${what}`;
  useEffect(() => {
    document.title = `${title} — Revcast`;
  }, [title]);
  return (
    <Message title={title} text="Its address may be damaged or out of date.">
      <a className="button primary" href="/">
        My drawings
      </a>
    </Message>
  );
}
