/*
 * The static table of HPACK (RFC 7541 appendix A).
 */
import type { HeaderList } from '../../../http/header-list.ts';

/** Number of entries; the dynamic table begins behind them. */
export const STATIC_ENTRIES = 61;

/** Entry n (1 to 61) is the name at `2 * (n - 1)` and the value behind it. */
export const STATIC_TABLE: HeaderList = Object.freeze(
  (
    ':authority||:method|GET|:method|POST|:path|/|:path|/index.html|:scheme|http|:scheme|https|:status|200|:status|204|:status|206|' +
    ':status|304|:status|400|:status|404|:status|500|accept-charset||accept-encoding|gzip, deflate|accept-language||accept-ranges||' +
    'accept||access-control-allow-origin||age||allow||authorization||cache-control||content-disposition||content-encoding||' +
    'content-language||content-length||content-location||content-range||content-type||cookie||date||etag||expect||expires||from||host||' +
    'if-match||if-modified-since||if-none-match||if-range||if-unmodified-since||last-modified||link||location||max-forwards||' +
    'proxy-authenticate||proxy-authorization||range||referer||refresh||retry-after||server||set-cookie||strict-transport-security||' +
    'transfer-encoding||user-agent||vary||via||www-authenticate|'
  ).split('|'),
);
