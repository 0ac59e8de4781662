/*
 * Settings of the servers that keys of issuers are fetched from, as the operator writes them: values, and references to Secrets and
 * ConfigMaps in the controller's namespace.
 */

/** One key of a Secret or a ConfigMap. */
export interface KeyRef {
  readonly name: string;
  readonly key: string;
}

/** Where a value comes from: exactly one of the two. */
export interface ValueSource {
  readonly secretKeyRef?: KeyRef;
  readonly configMapKeyRef?: KeyRef;
}

/** How everything below one URL is fetched. */
export interface KeyServer {
  /** http or https, without credentials, query and fragment: the same scheme, host and port, and this path or one below it. */
  readonly url: string;
  /** Certificate authorities in PEM, in place of all others; absent: as for every server. */
  readonly caBundle?: string;
  /** The same from an object; never both. */
  readonly caBundleFrom?: ValueSource;
  /** Forward proxy without credentials; absent: as the environment says. */
  readonly proxy?: string;
  /** The same with credentials from a Secret; never both. */
  readonly proxyFrom?: ValueSource;
  /** Of a fetch, in milliseconds, in place of the timeout of JWT rules. */
  readonly timeout?: number;
  /** Sent to this server only. */
  readonly headers?: readonly KeyServerHeader[];
}

/** A header with a secret value. */
export interface KeyServerHeader {
  readonly name: string;
  readonly valueFrom: ValueSource;
}
