/**
 * The address of a path on the relay that these modules came from: the page may be another site's.
 * @param {string} path
 */
export function address(path) {
  return new URL(path, import.meta.url).href;
}
