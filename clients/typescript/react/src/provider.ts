"use client";

// Hands the client to the hooks below it.

import type { RevcastClient } from "@revcast/client";
import type { Context, ReactElement, ReactNode } from "react";
// Where React renders server components, it has no context: this may be imported there all the same.
import * as React from "react";

let made: Context<RevcastClient | undefined> | undefined;

function context(): Context<RevcastClient | undefined> {
  made ??= React.createContext<RevcastClient | undefined>(undefined);
  return made;
}

export interface RevcastProviderProps {
  readonly client: RevcastClient;
  readonly children?: ReactNode;
}

export function RevcastProvider({ client, children }: RevcastProviderProps): ReactElement {
  return React.createElement(context().Provider, { value: client }, children);
}

/** The client of the `RevcastProvider` above. */
export function useClient(): RevcastClient {
  const client = React.useContext(context());
  if (client === undefined) throw new Error("there is no RevcastProvider above");
  return client;
}
