// The dashboard: asks the console every five seconds, and shows the mesh or a workload, as the address says.

import type { GraphAnswer, WorkloadAnswer } from '../../console/api.ts';
import { rateText } from '../words.ts';
import { html } from './dom.ts';
import { graphView } from './graph-view.ts';
import { workloadView } from './workload-view.ts';

const everyMs = 5_000;
/** A console that hangs is said to be gone. */
const answerMs = 10_000;

const view = document.querySelector('#view')!;
const state = document.querySelector('#state')!;
const summary = document.querySelector('#summary')!;
const choice = document.querySelector<HTMLSelectElement>('#namespace')!;

let timer = 0;
/** Which question is the newest: answers to older ones come too late. */
let asked = 0;
let lastAnswer = '';

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(path, { signal: AbortSignal.timeout(answerMs) });
  const body = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new Error(body.error ?? `status ${response.status}`);
  return body;
}

async function refresh(): Promise<void> {
  clearTimeout(timer);
  const turn = ++asked;
  try {
    const show = await currentView();
    if (turn !== asked) return;
    show();
    lastAnswer = new Date().toLocaleTimeString();
    say(`as of ${lastAnswer}`, 'quiet');
  } catch (error) {
    if (turn !== asked) return;
    const since = lastAnswer === '' ? '' : ` What is shown is of ${lastAnswer}.`;
    say(
      `No answer from the operator: ${error instanceof Error ? error.message : 'unknown'}.${since}`,
      'bad',
    );
  }
  if (!document.hidden) timer = window.setTimeout(() => void refresh(), everyMs);
}

/** Asks first and shows then, so that the old picture stays until there is a new one. */
async function currentView(): Promise<() => void> {
  const workload = /^#\/workloads\/([^/]*\/[^/]+\/[^/]+)$/.exec(location.hash)?.[1];
  if (workload !== undefined) {
    const answer = await ask<WorkloadAnswer>(`api/workloads/${workload}`);
    return () => show(workloadView(answer));
  }
  const wanted = new URLSearchParams(location.hash.split('?')[1]).get('namespace') ?? '';
  const query = wanted === '' ? '' : `?namespace=${encodeURIComponent(wanted)}`;
  const answer = await ask<GraphAnswer>(`api/graph${query}`);
  return () => {
    if (wanted === '') offer(answer);
    choice.value = wanted;
    tell(answer);
    show(graphView(answer));
  };
}

/** What has the focus keeps it: who walks through the page by keyboard is not thrown back every five seconds. */
function show(nodes: readonly Node[]): void {
  const focus = document.activeElement?.getAttribute('href');
  const { scrollLeft, scrollTop } = view.querySelector('.graph') ?? { scrollLeft: 0, scrollTop: 0 };
  view.replaceChildren(...nodes);
  view.querySelector('.graph')?.scrollTo(scrollLeft, scrollTop);
  if (focus == null) return;
  for (const link of view.querySelectorAll<HTMLElement | SVGElement>('a')) {
    if (link.getAttribute('href') === focus) return link.focus();
  }
}

function offer({ nodes }: GraphAnswer): void {
  const names = new Set(
    nodes.map(({ workload }) => workload.namespace).filter((name) => name !== ''),
  );
  const options = [...names].toSorted().map((name) => html('option', { value: name }, [name]));
  choice.replaceChildren(html('option', { value: '' }, ['all']), ...options);
}

function tell({ nodes, operator }: GraphAnswer): void {
  const meshed = nodes.filter(({ workload }) => workload.kind !== 'Outside');
  const rate = meshed.reduce((sum, { served }) => sum + served.requestsPerSecond, 0);
  const [ready, wanted] = ['ready', 'wanted'].map((key) =>
    meshed.reduce((sum, node) => sum + node[key as 'ready' | 'wanted'], 0),
  );
  summary.textContent = `${meshed.length} workloads, ${ready}/${wanted} sidecars, ${rateText(rate)}; operator ${operator.version}`;
}

function say(words: string, tone: 'quiet' | 'bad'): void {
  state.textContent = words;
  state.className = tone;
}

choice.addEventListener('change', () => {
  location.hash = choice.value === '' ? '#/' : `#/?namespace=${encodeURIComponent(choice.value)}`;
});
window.addEventListener('hashchange', () => void refresh());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void refresh();
});
choice.replaceChildren(html('option', { value: '' }, ['all']));
void refresh();
