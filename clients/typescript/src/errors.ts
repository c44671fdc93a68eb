// What can go wrong, as one class with a stable code.

import type { components } from "./generated/openapi.js";

/** An RFC 9457 problem body. */
export type Problem = components["schemas"]["Problem"];

/** Codes of the client's own, beside those of the problem bodies. */
export type ClientErrorCode =
  /** The server could not be reached, or did not answer in time. */
  | "CONNECTION_FAILED"
  /** No token could be got, or the server does not take it. */
  | "AUTH_FAILED"
  /** The server closed the socket because of a message over its limit. */
  | "MESSAGE_TOO_LARGE"
  /** The server closed the socket because of too many messages. */
  | "RATE_LIMITED"
  /** The server closed the socket because of a message it does not accept. */
  | "INVALID_SESSION"
  /** The storage of the browser failed; what is pending is held in memory alone. */
  | "STORAGE_FAILED"
  /** The snapshot of the server contradicts itself. */
  | "invalid_snapshot"
  /**
   * The server speaks a newer protocol, or a snapshot of it has a newer format: the picture cannot be computed here. So it is
   * with a canvas that a later version has kept on the device, in place of which that of the server is read.
   */
  | "client_outdated"
  /** Too much is pending to take in another op. */
  | "outbox_full"
  /** It was closed. */
  | "closed";

/** A code of a problem body (such as `forbidden`), or one of the client's own. */
export type ErrorCode = ClientErrorCode | (string & {});

export interface RevcastErrorOptions {
  /** Whether the same attempt may succeed later. */
  readonly retryable?: boolean;
  /** Milliseconds after which to try again, where the server has said so. */
  readonly retryAfter?: number;
  readonly problem?: Problem;
  readonly status?: number;
  readonly cause?: unknown;
}

/** Everything that this package throws or reports. */
export class RevcastError extends Error {
  override readonly name = "RevcastError";
  readonly retryable: boolean;
  readonly retryAfter: number | undefined;
  readonly problem: Problem | undefined;
  /** The HTTP status, where an answer was the cause. */
  readonly status: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: RevcastErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.retryable = options.retryable ?? false;
    this.retryAfter = options.retryAfter;
    this.problem = options.problem;
    this.status = options.status;
  }
}

/** Whether the server says that ops are missing in its log. Nothing helps until an operator has mended it. */
export function isDamaged({ code }: RevcastError): boolean {
  return code === "log_damaged";
}

/** It came after `close()`, or was under way then. */
export function closedError(): RevcastError {
  return new RevcastError("closed", "the drawing was closed");
}

/** What the server tells is too new for this version to compute a picture from it. */
export function outdatedError(what: string): RevcastError {
  return new RevcastError(
    "client_outdated",
    `${what}: this version of the client is too old to follow the drawing`,
  );
}

/** `error` as it is if it is one of ours, else as a failed connection. */
export function asRevcastError(error: unknown): RevcastError {
  if (error instanceof RevcastError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RevcastError("CONNECTION_FAILED", message, { retryable: true, cause: error });
}
