// What an answer of the server means: a success, or a `RevcastError`.

import { type Problem, RevcastError } from "./errors.js";

/** What a call of `rest` resolves with. */
export interface RestAnswer<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/**
 * The data of an answer of `rest`: `unwrap(await client.rest.GET("/v1/drawings"))`. `undefined` where it has no body.
 *
 * @throws {RevcastError} what the other methods of the client throw for it, when it is neither 2xx nor 304.
 */
export function unwrap<T>({ data, error, response }: RestAnswer<T>): T {
  if (!isSuccess(response)) throw errorOf(response, error);
  return data as T;
}

/** @throws {RevcastError} when it is neither 2xx nor 304. */
export async function successOf(response: Response): Promise<Response> {
  if (isSuccess(response)) return response;
  throw errorOf(response, await readBody(response));
}

function isSuccess({ ok, status }: Response): boolean {
  return ok || status === 304;
}

function errorOf(response: Response, body: unknown): RevcastError {
  const { status } = response;
  const problem = problemIn(response, body);
  const code =
    status === 401
      ? "AUTH_FAILED"
      : (problem?.code ?? (status >= 500 ? "CONNECTION_FAILED" : "invalid_request"));
  const message = problem?.detail ?? `the server answered ${status}`;
  const retryAfter = retryAfterOf(response);
  return new RevcastError(code, message, {
    // A gateway in between answers without a problem body.
    retryable: problem?.retryable ?? (status >= 500 || status === 408 || status === 429),
    status,
    ...(problem === undefined ? {} : { problem }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

function isJson(response: Response): boolean {
  return response.headers.get("Content-Type")?.includes("json") ?? false;
}

async function readBody(response: Response): Promise<unknown> {
  if (!isJson(response)) return undefined;
  try {
    return await response.json();
  } catch {
    // The body broke off: the status has to do.
    return undefined;
  }
}

function problemIn(response: Response, body: unknown): Problem | undefined {
  if (!isJson(response)) return undefined;
  const { code } = (body ?? {}) as Partial<Problem>;
  return typeof code === "string" ? (body as Problem) : undefined;
}

/** `Retry-After` in milliseconds: seconds, or a date. */
function retryAfterOf(response: Response): number | undefined {
  const header = response.headers.get("Retry-After");
  if (header === null) return undefined;
  const seconds = Number(header);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
