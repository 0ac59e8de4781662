/*
 * The Grafana dashboards of the chart: dashboards/*.json is written from the panels of panels.ts.
 * @see https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
 */
import { DASHBOARDS, type Dashboard, type Panel } from './panels.ts';

/** Columns of a dashboard in Grafana. */
const COLUMNS = 24;
const SIZES = { stat: { w: 8, h: 4 }, timeseries: { w: 12, h: 8 }, table: { w: 24, h: 8 } } as const;
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** Files of dashboards/: name and text. */
export function dashboardFiles(): readonly { readonly name: string; readonly text: string }[] {
  return DASHBOARDS.map((dashboard) => ({ name: `${dashboard.uid}.json`, text: `${JSON.stringify(modelOf(dashboard), null, 2)}\n` }));
}

function modelOf({ uid, title, description, namespaceOf, panels }: Dashboard): object {
  const variable = { hide: 0, includeAll: true, multi: true, skipUrlSync: false };
  return {
    uid,
    title,
    description,
    tags: ['sallyport'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    links: [
      {
        title: 'Sallyport',
        type: 'dashboards',
        asDropdown: true,
        icon: 'external link',
        tags: ['sallyport'],
        includeVars: true,
        keepTime: true,
        targetBlank: false,
        tooltip: '',
        url: '',
      },
    ],
    templating: {
      list: [
        {
          name: 'datasource',
          label: 'Data source',
          type: 'datasource',
          query: 'prometheus',
          regex: '',
          refresh: 1,
          hide: 0,
          includeAll: false,
          multi: false,
          skipUrlSync: false,
          options: [],
        },
        {
          name: 'namespace',
          label: 'Namespace',
          type: 'query',
          datasource: DATASOURCE,
          query: { query: `label_values(${namespaceOf}, namespace)`, refId: 'namespace' },
          regex: '',
          refresh: 2,
          sort: 1,
          allValue: '.*',
          current: { text: ['All'], value: ['$__all'] },
          options: [],
          ...variable,
        },
      ],
    },
    panels: placed(panels),
  };
}

/** Panels in rows from left to right. */
function placed(panels: readonly Panel[]): readonly object[] {
  let [x, y, height] = [0, 0, 0];
  return panels.map((panel, index) => {
    const { w, h } = SIZES[panel.type ?? 'timeseries'];
    if (x + w > COLUMNS || (height !== 0 && h !== height)) [x, y, height] = [0, y + height, 0];
    const gridPos = { x, y, w, h };
    [x, height] = [x + w, h];
    return panelModel(panel, index + 1, gridPos);
  });
}

function panelModel({ title, description, unit, queries, type = 'timeseries' }: Panel, id: number, gridPos: object): object {
  const isTable = type === 'table';
  return {
    id,
    type,
    title,
    description,
    gridPos,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit, min: type === 'timeseries' ? 0 : undefined }, overrides: [] },
    options: optionsOf(type),
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + at),
      datasource: DATASOURCE,
      expr,
      legendFormat,
      range: !isTable,
      instant: isTable,
      ...(isTable ? { format: 'table' } : {}),
    })),
  };
}

function optionsOf(type: NonNullable<Panel['type']>): object {
  if (type === 'stat')
    return {
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      colorMode: 'value',
      wideLayout: true,
      showPercentChange: false,
      percentChangeColorMode: 'standard',
      graphMode: 'area',
      orientation: 'auto',
      textMode: 'auto',
      justifyMode: 'auto',
    };
  if (type === 'table') return { frameIndex: 0, showHeader: true, cellHeight: 'sm' };
  return {
    legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'], showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  };
}
