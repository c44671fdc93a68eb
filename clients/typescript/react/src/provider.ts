// Hands the client to the hooks below it.

import type { RevcastClient } from "@revcast/client";
import { createContext, createElement, type ReactElement, type ReactNode, useContext } from "react";

const Context = createContext<RevcastClient | undefined>(undefined);

export interface RevcastProviderProps {
  readonly client: RevcastClient;
  readonly children?: ReactNode;
}

export function RevcastProvider({ client, children }: RevcastProviderProps): ReactElement {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the `RevcastProvider` above. */
export function useClient(): RevcastClient {
  const client = useContext(Context);
  if (client === undefined) throw new Error("there is no RevcastProvider above");
  return client;
}
