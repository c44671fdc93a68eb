// Keeps the page itself in the browser, so that a drawing can be opened and drawn on without a network.
//
// Only what the build made: the page and the files that it names. What is on a drawing is the client's to keep.

const CACHE = "revcast-page";
/** A file is the same whatever headers it is asked for with: servers and what is before them say otherwise (`Vary`). */
const ANY = { cacheName: CACHE, ignoreVary: true };
/** How long the page is waited for before the one that was kept is shown, in milliseconds. */
const PATIENCE = 3_000;

self.addEventListener("install", (event) => {
  event.waitUntil(fetchPage().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin) return;
  if (pathname === "/") event.respondWith(page(event));
  else if (pathname.startsWith("/assets/") || pathname === "/favicon.svg")
    event.respondWith(asset(event.request));
});

/** The page of the server, or where that is out of reach, slow or failing, the one that was kept. */
async function page(event) {
  const fetched = fetchPage();
  event.waitUntil(fetched.catch(() => {}));
  const kept = await caches.match("/", ANY);
  if (kept === undefined) return fetched;
  const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE, kept));
  const usual = fetched.then((answer) => (answer.status < 500 ? answer : kept)).catch(() => kept);
  return Promise.race([usual, patience]);
}

/** Keeps the page and what it names, and forgets what an older one had named. */
async function fetchPage() {
  const answer = await fetch("/", { cache: "no-cache" });
  if (!answer.ok || !answer.headers.get("content-type")?.includes("html")) return answer;
  const cache = await caches.open(CACHE);
  const text = await answer.clone().text();
  const named = ["/favicon.svg", ...new Set(text.match(/\/assets\/[\w.-]+/g))];
  const missing = [];
  for (const path of named) if ((await cache.match(path, ANY)) === undefined) missing.push(path);
  // First what the page needs, then the page: what is kept is always whole.
  await cache.addAll(missing);
  await cache.put("/", answer.clone());
  for (const { url } of await cache.keys()) {
    const { pathname } = new URL(url);
    if (pathname !== "/" && !named.includes(pathname)) await cache.delete(url);
  }
  return answer;
}

async function asset(request) {
  return (await caches.match(request, ANY)) ?? fetch(request);
}
