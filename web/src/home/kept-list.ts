// The list of the user's drawings as it last was: the way to them while the server is out of reach.

import { keepMine, keptMine } from "../session.js";

/** A drawing as the list tells of it. */
export interface Row {
  readonly drawing_id: string;
  readonly title: string;
  readonly role: string;
  readonly created_at: number;
}

/** More are not kept. */
const MAX_ROWS = 100;

export function keepList(rows: readonly Row[]): void {
  keepMine(
    rows
      .slice(0, MAX_ROWS)
      .map(({ drawing_id, title, role, created_at }) => ({ drawing_id, title, role, created_at })),
  );
}

export function keptList(): readonly Row[] | undefined {
  const rows = keptMine();
  return Array.isArray(rows) ? rows.filter(isRow) : undefined;
}

function isRow(value: unknown): value is Row {
  if (typeof value !== "object" || value === null) return false;
  const { drawing_id, title, role, created_at } = value as Partial<Record<keyof Row, unknown>>;
  const isTold = [drawing_id, title, role].every((word) => typeof word === "string");
  return isTold && typeof created_at === "number";
}
