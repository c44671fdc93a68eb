// Where a token is pasted, on servers that hand out none.

import { useState } from "react";
import { pasteToken } from "../session.js";
import { Logo } from "./logo.js";

export function TokenForm({ onToken }: { onToken: () => void }) {
  const [token, setToken] = useState("");
  return (
    <main className="message">
      <form
        className="card"
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim() === "") return;
          pasteToken(token);
          onToken();
        }}
      >
        <Logo />
        <h1>Sign in</h1>
        <p>This server has no guests. Paste an access token; it is kept until you close this tab, at most.</p>
        <label className="field">
          <span>Access token</span>
          <input
            type="password"
            autoComplete="off"
            value={token}
            onChange={(event) => setToken(event.target.value)}
            data-testid="access-token"
          />
        </label>
        <div className="row">
          <button type="submit" className="button primary" disabled={token.trim() === ""}>
            Continue
          </button>
        </div>
      </form>
    </main>
  );
}
