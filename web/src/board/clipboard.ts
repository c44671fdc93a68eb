// Copies texts to the clipboard, and says whether it was done.

/**
 * Copies a text that may be still to come: to be called within the click, for Safari lets nothing be copied after it has
 * been waited for. Resolves with whether the clipboard has the text.
 */
export async function copied(text: Promise<string>): Promise<boolean> {
  try {
    // Missing on pages that came over plain HTTP from another machine, and in older browsers.
    const item = new ClipboardItem({ "text/plain": blobOf(text) });
    await navigator.clipboard.write([item]);
    return true;
  } catch {
    return written(text);
  }
}

function blobOf(text: Promise<string>): Promise<Blob> {
  const blob = text.then((plain) => new Blob([plain], { type: "text/plain" }));
  // Whether there is a text is told by whoever makes it.
  blob.catch(() => {});
  return blob;
}

async function written(text: Promise<string>): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(await text);
    return true;
  } catch {
    return false;
  }
}
