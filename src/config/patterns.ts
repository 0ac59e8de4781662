/*
 * Patterns of values that both the loader and the chart's JSON schema check. They use only what Go's regexp knows, because Helm
 * evaluates the schema: no look-ahead.
 */

const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const V4 = `${BYTE}(?:\\.${BYTE}){3}`;
const HEX = '[0-9a-fA-F]{1,4}';

/** IPv6 without an embedded IPv4 address and without a zone: the number of groups before `::` limits those after it. */
function v6(): string {
  const forms = [`(?:${HEX}:){7}${HEX}`, `(?:${HEX}:){1,7}:`];
  for (let after = 1; after <= 6; after += 1) forms.push(`(?:${HEX}:){1,${7 - after}}(?::${HEX}){${after}}`);
  return `(?:${forms.join('|')}|:(?:(?::${HEX}){1,7}|:))`;
}

/** An IP address or a CIDR block. */
export const IP_BLOCK: RegExp = new RegExp(`^(?:${V4}(?:/(?:3[0-2]|[12]?[0-9]))?|${v6()}(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$`);

/** The name of an object of Kubernetes, or nothing. Starts with a letter, because a Service is named after it. */
export const OBJECT_NAME: RegExp = /^(?:[a-z](?:[-a-z0-9]{0,48}[a-z0-9])?)?$/;

/** Most namespaces that `watchNamespaces` may have: each costs four connections to the API server. */
export const MAX_WATCHED_NAMESPACES = 100;

/** The name of a namespace. */
export const NAMESPACE_NAME: RegExp = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** An image reference without tag and digest, such as `registry.example:5000/a/b`. */
export const IMAGE_REPOSITORY: RegExp = /^[A-Za-z0-9.-]+(?::[0-9]{1,5}\/[a-z0-9._-]+)?(?:\/[a-z0-9._-]+)*$/;

/** A quantity of Kubernetes that is not negative, such as `100m`, `1.5` or `64Mi`. */
export const QUANTITY: RegExp = /^[0-9]+(?:\.[0-9]+)?(?:[numkMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$/;

/** The name of a header. */
export const HEADER_NAME: RegExp = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;

/** A pattern of header names: anything but a lone `*`, which means nothing there. */
export const HEADER_PATTERN: RegExp = /^(?:[^*]|[\s\S]{2,})$/;

/** An http(s) URL without credentials, query and fragment. */
export const KEY_SERVER_URL: RegExp = /^https?:\/\/[^\s/?#@\\]+(?:\/[^\s?#\\]*)?$/;

/** The URL of an HTTP proxy without credentials and path. */
export const PROXY_URL: RegExp = /^https?:\/\/[^\s/?#@\\]+\/?$/;

/** The name of a Secret or a ConfigMap. */
export const SUBDOMAIN: RegExp = /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/;

/** A key of the data of a Secret or a ConfigMap. */
export const OBJECT_KEY: RegExp = /^[-._a-zA-Z0-9]+$/;
