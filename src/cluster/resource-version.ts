/*
 * Compares resourceVersions of one collection: those of an API server are revisions of etcd, decimal numbers that grow with each write.
 */

/** Whether version `one` is before `other`; false when either is not a number. */
export function isBefore(one: string | undefined, other: string | undefined): boolean {
  return isVersion(one) && isVersion(other) && Number(one) < Number(other);
}

function isVersion(version: string | undefined): boolean {
  return version !== undefined && version !== '' && Number.isSafeInteger(Number(version));
}
