/* X-Forwarded-Client-Cert of trusted proxies. */
import { parseClientCertHeader } from '../../../src/http/normalize/client-cert-header.ts';
import { type FuzzTarget, hold } from '../target.ts';

const SLEEP = 'spiffe://cluster.local/ns/foo/sa/sleep';

export const clientCert: FuzzTarget = {
  name: 'client-cert',
  properties: 'only the element that a proxy appends to a valid header counts, and it never mixes with earlier elements',
  seeds: [`By=spiffe://a;Hash=ab;Subject="CN=x,O=\\"y\\"";URI=${SLEEP};DNS=a.b`, `URI=a,Hash=1;URI=${SLEEP}`, 'Subject="";URI='],
  dictionary: ['By=', 'Hash=', 'Cert=', 'Chain=', 'Subject="', 'URI=', 'DNS=', ';', ',', '"', '\\"', '\\', '=', ' ', SLEEP],
  regressions: [],
  run(input) {
    const before = parseClientCertHeader(input);
    const after = parseClientCertHeader(`${input},Hash=1;Subject="";URI=${SLEEP}`);
    if (before === undefined) {
      hold(after === undefined || after.uris.every((uri) => uri === SLEEP), 'an identity comes from the last element or not at all');
    } else {
      hold(after?.uris.length === 1 && after.uris[0] === SLEEP && after.subject === '', 'the last element counts');
    }
  },
};
