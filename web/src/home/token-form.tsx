// Where a token is pasted: on servers that hand out none, and when the server does not take one any more.

import { LogIn } from "lucide-react";
import { useState } from "react";
import { Dialog } from "../board/dialog.js";
import { isOfAnother, myName, pasteToken } from "../session.js";
import { Logo } from "./logo.js";
import { useUnpressed } from "./use-sign-in.js";

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
        <TokenField token={token} onToken={setToken} />
        <div className="row">
          <button type="submit" className="button primary" disabled={token.trim() === ""}>
            Continue
          </button>
        </div>
      </form>
    </main>
  );
}

/** Asks for another token, over whatever is shown: what is drawn there stays, and is sent with the new token. */
export function SignInAgain({ onAnother }: { onAnother: () => void }) {
  const [isOpen, setIsOpen] = useState(true);
  const [token, setToken] = useState("");
  /** The token of somebody else, which was told to be one. */
  const [warned, setWarned] = useState<string>();
  const isFree = useUnpressed();
  if (!isOpen || !isFree) {
    return (
      <button
        type="button"
        className="button primary signed-out"
        onClick={() => setIsOpen(true)}
        data-testid="sign-in-again"
      >
        <LogIn aria-hidden="true" /> Sign in again
      </button>
    );
  }
  const submit = () => {
    if (token.trim() === "") return;
    if (!isOfAnother(token)) {
      pasteToken(token);
      // As when the network is back: whoever waits to try again does so now.
      dispatchEvent(new Event("online"));
    } else if (warned !== token) {
      setWarned(token);
    } else {
      pasteToken(token);
      onAnother();
    }
  };
  return (
    <Dialog title="Sign in again" onClose={() => setIsOpen(false)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
        data-testid="sign-in-dialog"
      >
        <p>
          The server does not take your access token any more: it may have expired. Paste a new one. What you
          have drawn and draw until then is kept, and sent when you have signed in.
        </p>
        <TokenField token={token} onToken={setToken} />
        {warned !== undefined && warned === token && (
          <p className="problem" role="alert">
            This token is not {myName()}’s. What {myName()} has drawn stays on this device, and is sent when{" "}
            {myName()} signs in here again.
          </p>
        )}
        <div className="row end">
          <button type="button" className="button" onClick={() => setIsOpen(false)}>
            Not now
          </button>
          <button type="submit" className="button primary" disabled={token.trim() === ""}>
            {warned !== undefined && warned === token ? "Change the user" : "Continue"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function TokenField({ token, onToken }: { token: string; onToken: (token: string) => void }) {
  return (
    <label className="field">
      <span>Access token</span>
      <input
        type="password"
        autoComplete="off"
        value={token}
        onChange={(event) => onToken(event.target.value)}
        data-testid="access-token"
      />
    </label>
  );
}
