/*
 * Splits URLs as users write them, for flags, HAR files and JSON lines.
 */

/** The port that a client dials. */
export interface DialedPort {
  readonly port: number;
  /** The URL names it; otherwise it follows from the scheme. */
  readonly isExplicit: boolean;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/**
 * Host, target and port of a URL, as written: nothing is decoded or normalized, because policies see what is sent.
 * @param url an absolute URL, or a path
 * @returns `host` with its port, and the port that a client dials; neither for a path
 */
export function splitUrl(url: string): { readonly host?: string; readonly path: string; readonly dialed?: DialedPort } {
  const [, scheme, host, rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  if (scheme === undefined || host === undefined) return { path: url.startsWith('/') || url === '*' ? url : `/${url}` };
  const target = rest.replace(/#.*$/s, '');
  const port = /:(\d{1,5})$/.exec(host)?.[1];
  return {
    host: host.replace(/^[^@]*@/, ''),
    path: target.startsWith('/') ? target : `/${target}`,
    dialed:
      port === undefined
        ? { port: DEFAULT_PORTS[scheme.toLowerCase()] ?? 80, isExplicit: false }
        : { port: Number(port), isExplicit: true },
  };
}
