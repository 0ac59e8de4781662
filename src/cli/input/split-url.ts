/*
 * Splits URLs as users write them, for flags, HAR files and JSON lines.
 */

/**
 * Host, target and port of a URL, as written: nothing is decoded or normalized, because policies see what is sent.
 * @param url an absolute URL, or a path
 * @returns `host` with its port, `port` if the URL names one; neither for a path
 */
export function splitUrl(url: string): { readonly host?: string; readonly path: string; readonly port?: number } {
  const [, scheme, host, rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  if (scheme === undefined || host === undefined) return { path: url.startsWith('/') || url === '*' ? url : `/${url}` };
  const target = rest.replace(/#.*$/s, '');
  const port = /:(\d{1,5})$/.exec(host)?.[1];
  return {
    host: host.replace(/^[^@]*@/, ''),
    path: target.startsWith('/') ? target : `/${target}`,
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}
