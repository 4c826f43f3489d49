// Makes elements of the page. Text is always text: nothing that comes from the cluster is read as HTML.

type Attributes = Readonly<Record<string, string | number>>;
type Child = Node | string;

const svgNamespace = 'http://www.w3.org/2000/svg';

export function html(
  tag: string,
  attributes: Attributes = {},
  children: readonly Child[] = [],
): HTMLElement {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(
  tag: string,
  attributes: Attributes = {},
  children: readonly Child[] = [],
): SVGElement {
  return filled(document.createElementNS(svgNamespace, tag), attributes, children);
}

function filled<T extends Element>(
  element: T,
  attributes: Attributes,
  children: readonly Child[],
): T {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

export interface Column<Row> {
  readonly title: string;
  readonly isNumber?: boolean;
  readonly cell: (row: Row) => Child;
  readonly tone?: (row: Row) => string;
}

export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): HTMLElement {
  const head = columns.map(({ title, isNumber }) =>
    html('th', { scope: 'col', class: isNumber === true ? 'number' : '' }, [title]),
  );
  const body = rows.map((row) =>
    html(
      'tr',
      {},
      columns.map(({ cell, tone, isNumber }) =>
        html('td', { class: `${isNumber === true ? 'number' : ''} ${tone?.(row) ?? ''}` }, [
          cell(row),
        ]),
      ),
    ),
  );
  const whole = html('table', {}, [
    html('thead', {}, [html('tr', {}, head)]),
    html('tbody', {}, body),
  ]);
  return html('div', { class: 'scroll' }, [whole]);
}
