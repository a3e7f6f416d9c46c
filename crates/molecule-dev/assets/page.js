// The page's own script: the admin token, the place in the address's fragment, the slider, and the refresh of what is
// live. Everything else is HTML from the server.
(() => {
    'use strict';

    const STORED = 'molecule-dev-token';
    const PLACE = /^\/[a-z]+(\/[A-Za-z0-9-]+)?(\?[^#]*)?$/;
    const find = (selector, root = document) => root.querySelector(selector);
    const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

    /** The line as of which the page shows the platform; null for its present. */
    let at = null;
    let newest = 0;
    /** The platform's clock minus this browser's, in milliseconds. */
    let ahead = 0;
    let connected = false;

    // The token comes once, in the fragment, which no server and no log sees, and stays in this tab.

    function takeToken() {
        const given = /^#(?:token=)?([A-Za-z0-9_-]{16,})(?:&?(\/.*))?$/.exec(location.hash);
        if (!given) return;
        sessionStorage.setItem(STORED, given[1]);
        history.replaceState(null, '', location.pathname + '#' + (given[2] || '/workspaces'));
    }

    const token = () => sessionStorage.getItem(STORED);

    function askForToken(refused) {
        connected = false;
        status('', 'Not signed in');
        // Without it the stream would be tried, and refused, again and again.
        stream();
        document.body.classList.add('signed-out');
        find('#signin').hidden = false;
        find('#refused').hidden = !refused;
        find('#view').replaceChildren();
        find('#token').focus();
    }

    function isOurs(action) {
        return typeof action === 'string' && action.startsWith('/dev/') && !action.includes('..');
    }

    document.addEventListener('htmx:config:request', event => {
        const request = event.detail.ctx.request;
        if (!isOurs(request.action)) {
            event.preventDefault();
            return;
        }
        request.headers['Authorization'] = 'Bearer ' + token();
        delete request.headers['HX-Current-URL'];
        const isView = request.method === 'GET' && !request.action.startsWith('/dev/events');
        if (isView && at !== null) request.body.set('at', at);
    });

    // What is not HTML of ours is never put into the page.
    document.addEventListener('htmx:before:response', event => {
        const {response} = event.detail.ctx;
        const kind = response.headers.get('Content-Type') || '';
        if (response.status === 401) {
            event.preventDefault();
            askForToken(true);
        } else if (response.status !== 204 && !kind.startsWith('text/html') && !kind.startsWith('text/event-stream')) {
            event.preventDefault();
            say('The answer is not a part of this page (' + (kind || 'no content type') + ').');
        }
    });

    document.addEventListener('htmx:after:request', event => {
        const {response, sourceElement} = event.detail.ctx;
        if (response.status < 400 && sourceElement.matches?.('form[data-reset]')) sourceElement.reset();
    });

    function say(text) {
        const line = document.createElement('p');
        line.textContent = text;
        line.className = 'bad';
        find('#notice').replaceChildren(line);
    }

    document.addEventListener('htmx:error', event => {
        if (event.detail.error?.name === 'AbortError') return;
        say('`molecule dev` does not answer. Is it still running in its terminal?');
    });

    // Places: the fragment after `#`, of which the path of the view is made.

    function place() {
        const hash = location.hash.slice(1);
        return PLACE.test(hash) ? hash : '/workspaces';
    }

    let shown = null;
    let moved = false;
    function show() {
        if (!token()) return askForToken(false);
        const here = place();
        const name = here.split(/[/?]/)[1];
        for (const link of findAll('#views a')) {
            const of = {exchange: 'inspector', workspace: 'workspaces', fork: 'inspector'}[name] || name;
            if (link.dataset.view === of) {
                link.setAttribute('aria-current', 'page');
                link.scrollIntoView({block: 'nearest', inline: 'nearest'});
            } else link.removeAttribute('aria-current');
        }
        // Another exchange beside the same list: what is the same stays where it is.
        const isNear = ['inspector', 'exchange'].includes(name) && ['inspector', 'exchange'].includes(shown);
        shown = name;
        return htmx.ajax('GET', '/dev' + here, {source: '#view', target: '#view', swap: isNear ? 'innerMorph' : 'innerHTML'});
    }

    addEventListener('hashchange', () => {
        const before = token();
        takeToken();
        if (token() !== before) return start();
        find('#notice').replaceChildren();
        moved = true;
        show();
    });

    document.addEventListener('htmx:after:swap', event => {
        const target = event.detail.ctx.target?.id;
        if (target === 'notice') forgetLater();
        if (target === 'view') {
            // The link that led here is gone.
            if (document.activeElement === document.body && moved) find('#view').focus({preventScroll: true});
            const heading = find('#view h1');
            document.title = (heading ? heading.textContent + ' · ' : '') + 'molecule dev';
            toEnd();
        }
        tick();
        beat();
    });

    // Good news goes by itself, bad news stays until the next.
    let forgetting = null;
    function forgetLater() {
        clearTimeout(forgetting);
        forgetting = setTimeout(() => {
            if (!find('#notice .bad')) find('#notice').replaceChildren();
        }, 8000);
    }

    // Chats are read from their end.
    function toEnd() {
        const talk = find('[data-to-end]');
        if (talk) talk.scrollTop = talk.scrollHeight;
    }

    // The stream says that there is a newer line. What is live asks for itself again, never more often than the server
    // and this browser keep up with.

    let pause = 400;
    let waiting = null;
    let last = 0;

    function refreshSoon() {
        if (waiting || at !== null || document.hidden) return;
        waiting = setTimeout(refresh, Math.max(0, last + pause - performance.now()));
    }

    async function refresh() {
        waiting = null;
        last = performance.now();
        const talk = find('[data-to-end]');
        const isAtEnd = talk && talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
        for (const live of findAll('[data-live]')) htmx.trigger(live, 'refresh', {}, false);
        if (isAtEnd) document.addEventListener('htmx:after:swap', toEnd, {once: true});
    }

    document.addEventListener('htmx:finally:request', event => {
        if (!event.detail.ctx.sourceElement.matches?.('[data-live]')) return;
        const took = performance.now() - last;
        pause = Math.min(5000, Math.max(400, 4 * took));
    });

    document.addEventListener('line', event => {
        const [line, unix] = event.detail.data.split(' ').map(Number);
        connected = true;
        status('live', 'Live');
        newest = line;
        ahead = unix - Date.now();
        const slider = find('#slider');
        slider.max = line;
        if (at === null) slider.value = line;
        find('#newest').textContent = line.toLocaleString('en');
        if (at === null) find('#moment').textContent = 'now';
        refreshSoon();
    });

    document.addEventListener('htmx:sse:error', event => {
        if (event.detail.status === 401) return askForToken(true);
        connected = false;
        status('lost', 'Not connected');
    });
    document.addEventListener('htmx:sse:close', () => {
        connected = false;
        if (!document.hidden) status('lost', 'Not connected');
    });

    function status(kind, text) {
        const shown = find('#connection');
        if (shown.textContent === text) return;
        shown.className = kind;
        shown.textContent = text;
    }

    // Times: how long ago, by the platform's clock.

    function tick() {
        if (at !== null || !connected) return;
        const now = Date.now() + ahead;
        for (const time of findAll('time[data-ago]')) {
            const text = ago(now - Number(time.dataset.ago));
            if (time.textContent !== text) time.textContent = text;
        }
    }

    function ago(ms) {
        const seconds = Math.max(0, Math.floor(ms / 1000));
        if (seconds < 1) return 'now';
        if (seconds < 60) return seconds + ' s ago';
        if (seconds < 3600) return Math.floor(seconds / 60) + ' min ago';
        if (seconds < 172800) return Math.floor(seconds / 3600) + ' h ago';
        return Math.floor(seconds / 86400) + ' days ago';
    }
    setInterval(tick, 1000);

    const beats = new Map();
    function beat() {
        for (const pulse of findAll('[data-beat]')) {
            const before = beats.get(pulse.id);
            beats.set(pulse.id, pulse.dataset.beat);
            if (before === undefined || before === pulse.dataset.beat) continue;
            pulse.classList.remove('beats');
            void pulse.offsetWidth; // the animation begins again
            pulse.classList.add('beats');
        }
    }

    // The slider.

    function moveTo(line) {
        at = line === null || line >= newest ? null : Math.max(0, line);
        document.body.classList.toggle('past', at !== null);
        find('#slider').value = at ?? newest;
        find('#live').hidden = at === null;
        find('#fork').hidden = at === null;
        find('#moment').textContent = at === null ? 'now' : 'line ' + at.toLocaleString('en');
        if (at !== null) htmx.ajax('GET', '/dev/moment', {source: '#moment', target: '#moment', swap: 'innerHTML'});
        return show();
    }

    let moving = null;
    function bindSlider() {
        find('#slider').addEventListener('input', event => {
            clearTimeout(moving);
            const line = Number(event.target.value);
            moving = setTimeout(() => moveTo(line), 120);
        });
        find('#live').addEventListener('click', () => moveTo(null));
        find('#earlier').addEventListener('click', () => moveTo((at ?? newest) - 1));
        find('#later').addEventListener('click', () => moveTo((at ?? newest) + 1));
        find('#fork').addEventListener('click', () => {
            if (at !== null) location.hash = '/fork?line=' + at;
        });
    }

    document.addEventListener('click', async event => {
        const element = event.target.closest?.('[data-copy], [data-fetch], [data-focus], [data-moment], #skip, #theme');
        if (!element) return;
        if (element.id === 'skip') {
            event.preventDefault();
            find('#view').focus();
        } else if (element.id === 'theme') {
            nextTheme();
        } else if (element.dataset.copy) {
            await copy(element, find(element.dataset.copy).textContent);
        } else if (element.dataset.focus) {
            find(element.dataset.focus).focus();
        } else if (element.dataset.moment) {
            moveTo(Number(element.dataset.moment));
        } else {
            event.preventDefault();
            await save(element.dataset.fetch, element.dataset.name || 'file');
        }
    });

    document.addEventListener('keydown', event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.target.closest?.('form[data-send]')?.requestSubmit();
        } else if (event.key === 'Escape') {
            find('#detail[data-open]')?.querySelector('a[data-close]')?.click();
        }
    });

    async function copy(button, text) {
        try {
            await navigator.clipboard.writeText(text);
            button.textContent = 'Copied';
        } catch {
            button.textContent = 'Select it and copy it by hand';
        }
        setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    }

    // A file needs the token, which a link cannot carry.
    async function save(action, name) {
        if (!isOurs(action)) return;
        const answer = await fetch(action, {headers: {Authorization: 'Bearer ' + token()}, mode: 'same-origin'});
        if (!answer.ok) return say(await answer.text());
        const link = document.createElement('a');
        link.href = URL.createObjectURL(await answer.blob());
        link.download = name;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }

    // Colours: as the system says, light, or dark.

    const THEMES = ['system', 'light', 'dark'];
    function applyTheme() {
        const theme = localStorage.getItem('molecule-dev-theme') || 'system';
        document.documentElement.dataset.theme = theme;
        find('#theme').textContent = 'Colours: ' + theme;
    }
    function nextTheme() {
        const theme = document.documentElement.dataset.theme;
        localStorage.setItem('molecule-dev-theme', THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
        applyTheme();
    }

    /** Ends the stream, and opens one at this address. */
    function stream(address) {
        const made = document.createElement('div');
        made.id = 'stream';
        made.hidden = true;
        find('#stream').replaceWith(made);
        if (!address) return;
        made.setAttribute('hx-sse:connect', address);
        made.setAttribute('hx-swap', 'none');
        htmx.process(made);
    }

    function start() {
        if (!token()) return askForToken(false);
        document.body.classList.remove('signed-out');
        find('#signin').hidden = true;
        stream('/dev/events');
        htmx.ajax('GET', '/dev/about', {source: '#about', target: '#about', swap: 'innerHTML'});
        show();
    }

    function begin() {
        applyTheme();
        bindSlider();
        find('#signin').addEventListener('submit', event => {
            event.preventDefault();
            const given = find('#token').value.trim();
            if (!given) return;
            sessionStorage.setItem(STORED, given.replace(/^.*#(token=)?/, ''));
            find('#token').value = '';
            start();
        });
        takeToken();
        start();
    }

    if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin);
    else begin();
})();
