// Which screen is shown: by the hash of the address, and by whether there is a token to be had.

import { createClient, RevcastError } from "@revcast/client";
import { RevcastProvider, useClient } from "@revcast/react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { BoardScreen } from "./board/screen.js";
import { Home } from "./home/home.js";
import { Message } from "./home/message.js";
import { NoSuchPage } from "./home/no-such-page.js";
import { SignInAgain, TokenForm } from "./home/token-form.js";
import { useSignIn } from "./home/use-sign-in.js";
import type { RevcastClient } from "./revcast.js";
import { fetchAsMe, getToken } from "./session.js";

const DRAWING = /^#\/d\/([0-9a-f-]{36})$/i;
const JOIN = /^#\/join\/([^/]+)$/;
const HOME = /^(#\/?)?$/;

export function App() {
  const hash = useHash();
  const [client, setClient] = useState<RevcastClient>();
  const signIn = useSignIn();
  const [turn, setTurn] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another turn means another user.
  useEffect(() => {
    const fresh = createClient({ url: location.origin, getToken, fetch: fetchAsMe });
    setClient(fresh);
    // Tells at once where there are no guests. What else goes wrong is tried again by whoever needs the token.
    getToken().catch(() => {});
    return () => void fresh.close();
  }, [turn]);

  const anotherUser = () => setTurn(turn + 1);
  if (signIn === "first") return <TokenForm onToken={anotherUser} />;
  if (client === undefined) return null;
  const drawingId = DRAWING.exec(hash)?.[1];
  const linkToken = JOIN.exec(hash)?.[1];
  return (
    <RevcastProvider client={client}>
      {drawingId !== undefined ? (
        <BoardScreen key={drawingId} drawingId={drawingId} />
      ) : linkToken !== undefined ? (
        <Join key={linkToken} token={plain(linkToken)} />
      ) : HOME.test(hash) ? (
        // What one user has is not shown to the next one.
        <Home key={turn} onIdentity={anotherUser} />
      ) : (
        <NoSuchPage what={hash.startsWith("#/d/") ? "drawing" : "page"} />
      )}
      {signIn === "again" && <SignInAgain onAnother={anotherUser} />}
    </RevcastProvider>
  );
}

/** The token of a link; as it stands where it is damaged, for the server to refuse. */
function plain(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

/** Joins by a share link, and then is where the link leads to. */
function Join({ token }: { token: string }) {
  const client = useClient();
  const [problem, setProblem] = useState<string>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let isOver = false;
    const again = () => setAttempt(attempt + 1);
    addEventListener("online", again);
    setProblem(undefined);
    client.join(token).then(
      ({ drawing_id }) => {
        if (!isOver) location.replace(`#/d/${drawing_id}`);
      },
      (error: unknown) => {
        if (isOver) return;
        const isGone = error instanceof RevcastError && error.code === "not_found";
        const isSignedOut = error instanceof RevcastError && error.code === "AUTH_FAILED";
        setProblem(
          isGone
            ? "This link does not work any more."
            : isSignedOut
              ? "You are not signed in any more."
              : "The server could not be reached.",
        );
      },
    );
    return () => {
      isOver = true;
      removeEventListener("online", again);
    };
  }, [client, token, attempt]);
  if (problem === undefined) return <Message title="Joining…" />;
  return (
    <Message title="You could not join" text={problem}>
      <button type="button" className="button" onClick={() => setAttempt(attempt + 1)}>
        Try again
      </button>
      <a className="button primary" href="#/">
        My drawings
      </a>
    </Message>
  );
}

function useHash(): string {
  return useSyncExternalStore(
    (listener) => {
      addEventListener("hashchange", listener);
      return () => removeEventListener("hashchange", listener);
    },
    () => location.hash,
  );
}
