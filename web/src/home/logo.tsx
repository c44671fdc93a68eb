// The sign of the whiteboard.

export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" width="40" height="40" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <path d="M7 21c4-1 5-11 9-11s2 12 6 12c2 0 3-2 3-4" />
    </svg>
  );
}
