// k6 has a console, which @types/k6 leaves to the library for browsers.
declare const console: Record<"log" | "info" | "warn" | "error", (...parts: unknown[]) => void>;
