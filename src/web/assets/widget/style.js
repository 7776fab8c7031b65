// One sheet for the shadow tree. What a page may change are the variables of `tributary-chat`:
// --tributary-accent, -on-accent, -background, -surface, -text, -muted, -line, -radius, -font, -z, -gap.
export default `
:host{
  --accent:var(--tributary-accent,#2563eb);--on:var(--tributary-on-accent,#fff);
  --bg:var(--tributary-background,#fff);--surface:var(--tributary-surface,#f1f4f9);
  --text:var(--tributary-text,#111827);--muted:var(--tributary-muted,#5b6576);--line:var(--tributary-line,#e3e8ef);
  --bad:#b42318;--radius:var(--tributary-radius,18px);--gap:var(--tributary-gap,20px);
  all:initial;position:fixed;inset-block-end:var(--gap);inset-inline-end:var(--gap);
  z-index:var(--tributary-z,2147483000);color-scheme:light;
  font:15px/1.45 var(--tributary-font,system-ui,-apple-system,"Segoe UI",Roboto,"PingFang SC","Hiragino Sans GB","Microsoft YaHei","Noto Sans","Noto Sans CJK SC",sans-serif);
  color:var(--text);-webkit-text-size-adjust:100%
}
:host([data-position=start]){inset-inline:var(--gap) auto}
:host([data-scheme=dark]){
  --bg:var(--tributary-background,#14181f);--surface:var(--tributary-surface,#232a35);
  --text:var(--tributary-text,#eef1f6);--muted:var(--tributary-muted,#a3aebf);--line:var(--tributary-line,#303947);
  --bad:#ff9d92;color-scheme:dark
}
*,*::before,*::after{box-sizing:border-box}
button,input,textarea,select{font:inherit;color:inherit;letter-spacing:inherit;margin:0}
button{cursor:pointer;border:0;background:none;padding:0}
button:disabled{cursor:default;opacity:.45}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
[hidden]{display:none!important}
svg{display:block;width:22px;height:22px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.launch{position:relative;width:58px;height:58px;border-radius:50%;background:var(--accent);color:var(--on);display:grid;place-items:center;
  box-shadow:0 6px 20px rgb(15 23 42/.22),0 2px 6px rgb(15 23 42/.16);transition:transform .18s,box-shadow .18s}
.launch:hover{transform:translateY(-2px) scale(1.03);box-shadow:0 10px 26px rgb(15 23 42/.26)}
.launch svg{width:27px;height:27px}
.badge{position:absolute;inset-block-start:-3px;inset-inline-end:-3px;min-width:21px;height:21px;padding:0 6px;border-radius:11px;
  background:#dc2626;color:#fff;font-size:12px;font-weight:600;line-height:21px;text-align:center;box-shadow:0 0 0 2px var(--bg)}
.panel{position:absolute;inset-block-end:74px;inset-inline-end:0;width:388px;max-width:calc(100vw - 2*var(--gap));
  height:min(660px,calc(100vh - 2*var(--gap) - 74px));display:flex;flex-direction:column;overflow:hidden;
  background:var(--bg);border-radius:var(--radius);border:1px solid var(--line);
  box-shadow:0 22px 60px rgb(15 23 42/.22),0 4px 14px rgb(15 23 42/.1);transform-origin:100% 100%;animation:rise .2s ease-out}
:host([data-position=start]) .panel{inset-inline:0 auto}
@keyframes rise{from{opacity:0;transform:translateY(12px) scale(.98)}}
header{display:flex;align-items:center;gap:12px;padding:16px 14px 16px 18px;background:var(--accent);color:var(--on)}
[dir=rtl] header{padding:16px 18px 16px 14px}
.face{flex:none;width:40px;height:40px;border-radius:50%;display:grid;place-items:center;background:rgb(255 255 255/.2)}
header .words{flex:1;min-width:0}
h2{margin:0;font-size:16.5px;font-weight:650;line-height:1.25;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
header p{margin:2px 0 0;font-size:13px;opacity:.92;display:flex;align-items:center;gap:7px}
.dot{flex:none;width:8px;height:8px;border-radius:50%;background:#4ade80;box-shadow:0 0 0 2px rgb(255 255 255/.25)}
.dot.away{background:#fbbf24}
.icon{flex:none;width:38px;height:38px;border-radius:11px;display:grid;place-items:center;transition:background .15s}
header .icon:hover{background:rgb(255 255 255/.17)}
header :focus-visible{outline-color:currentColor}
.log{flex:1;overflow-y:auto;overscroll-behavior:contain;padding:18px 16px 10px;display:flex;flex-direction:column;gap:3px;scrollbar-width:thin;scrollbar-color:var(--line) transparent}
.log>:first-child{margin-block-start:auto}
.day{align-self:center;margin:12px 0 8px;font-size:12px;color:var(--muted);font-weight:500}
.more{align-self:center;margin-block-end:8px;padding:6px 14px;border-radius:14px;background:var(--surface);font-size:13px;color:var(--muted)}
.who{font-size:12px;color:var(--muted);margin:10px 4px 0}
.who+.msg.first{margin-block-start:3px}
p,.bar,.note,.day,.more,.who,.typing span,.sheet span,.sheet small,.main,.plain{unicode-bidi:plaintext}
.msg{display:flex;flex-direction:column;max-width:84%;align-self:flex-start;align-items:flex-start}
.msg.own{align-self:flex-end;align-items:flex-end}
.msg.first{margin-block-start:8px}
.bubble{padding:9px 14px;border-radius:17px;background:var(--surface);white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;text-align:start}
.msg:not(.own) .bubble{border-end-start-radius:5px}
.own .bubble{background:var(--accent);color:var(--on);border-end-end-radius:5px}
.own.waiting .bubble{opacity:.62}
.bubble a{color:inherit;text-decoration:underline;text-underline-offset:2px}
.bubble.gone{background:none;border:1px dashed var(--line);color:var(--muted);font-style:italic}
.note{font-size:12px;color:var(--muted);margin:3px 4px 0;display:flex;gap:10px}
.note.bad{color:var(--bad)}
.note button{text-decoration:underline;font-weight:600;min-height:24px}
.files{display:flex;flex-direction:column;gap:6px;align-items:inherit}
.bubble+.files,.files+.bubble{margin-block-start:4px}
.file{display:flex;align-items:center;gap:10px;max-width:100%;padding:9px 13px;border-radius:14px;border:1px solid var(--line);background:var(--bg);text-align:start}
.file span{min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.file small{flex:none;color:var(--muted)}
.picture{border-radius:15px;overflow:hidden;border:1px solid var(--line);background:var(--surface);display:block}
.picture img{display:block;max-width:230px;max-height:230px;object-fit:cover}
.typing{display:flex;align-items:center;gap:9px;font-size:12px;color:var(--muted);padding:6px 4px;min-height:30px}
.typing i{display:flex;gap:4px;padding:9px 12px;border-radius:15px;background:var(--surface)}
.typing b{width:6px;height:6px;border-radius:50%;background:var(--muted);animation:blink 1.2s infinite}
.typing b:nth-child(2){animation-delay:.18s}.typing b:nth-child(3){animation-delay:.36s}
@keyframes blink{0%,60%,100%{opacity:.3}30%{opacity:1}}
.bar{padding:8px 16px;font-size:13px;background:var(--surface);color:var(--muted);border-block-start:1px solid var(--line)}
.bar.bad{color:var(--bad)}
.bottom{border-block-start:1px solid var(--line);padding:10px 12px calc(10px + env(safe-area-inset-bottom));background:var(--bg)}
.chips{display:flex;flex-wrap:wrap;gap:6px;margin-block-end:8px}
.chip{position:relative;display:flex;align-items:center;gap:6px;max-width:100%;padding:5px 6px 5px 11px;border-radius:12px;background:var(--surface);font-size:13px;overflow:hidden}
[dir=rtl] .chip{padding:5px 11px 5px 6px}
.chip span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:190px}
.chip progress{position:absolute;inset:auto 0 0;width:100%;height:3px;accent-color:var(--accent);appearance:none;border:0;background:none}
.chip progress::-webkit-progress-bar{background:none}
.chip progress::-webkit-progress-value{background:var(--accent)}
.chip button{width:24px;height:24px;border-radius:8px;display:grid;place-items:center}
.chip svg{width:14px;height:14px}
.write{display:flex;align-items:flex-end;gap:4px;padding:4px;border:1px solid var(--line);border-radius:22px;background:var(--bg);transition:border-color .15s,box-shadow .15s}
.write:focus-within{border-color:var(--accent);box-shadow:0 0 0 3px color-mix(in srgb,var(--accent) 18%,transparent)}
.write textarea{flex:1;min-width:0;border:0;outline:0;background:none;resize:none;padding:8px 6px 7px;max-height:132px;line-height:1.4;unicode-bidi:plaintext;text-align:start}
.write textarea::placeholder,input::placeholder,form textarea::placeholder{color:var(--muted);opacity:1}
.write .icon{border-radius:50%;color:var(--muted)}
.write .icon:hover{background:var(--surface)}
.write .go{background:var(--accent);color:var(--on)}
.write .go:hover{background:var(--accent);filter:brightness(1.08)}
.write .go:disabled{background:var(--surface);color:var(--muted);opacity:1;filter:none}
[dir=rtl] .go svg{transform:scaleX(-1)}
form.sheet{flex:1;overflow-y:auto;padding:20px 18px 18px;display:flex;flex-direction:column;gap:15px}
.sheet .lead{margin:0;color:var(--muted)}
.sheet label,.sheet fieldset{display:flex;flex-direction:column;gap:6px;border:0;padding:0;margin:0;font-weight:550;font-size:14px}
.sheet legend{padding:0;margin-block-end:6px;font-weight:550}
.sheet small{font-weight:400;color:var(--muted);font-size:12.5px}
.sheet .wrong{color:var(--bad);font-weight:500}
.sheet input,.sheet textarea,.sheet select{width:100%;min-height:44px;padding:9px 13px;border:1px solid var(--line);border-radius:12px;background:var(--bg);font-weight:400;font-size:15px;unicode-bidi:plaintext;text-align:start}
.sheet textarea{resize:vertical;min-height:92px}
.sheet input:focus,.sheet textarea:focus,.sheet select:focus{outline:0;border-color:var(--accent);box-shadow:0 0 0 3px color-mix(in srgb,var(--accent) 18%,transparent)}
.sheet [aria-invalid=true]{border-color:var(--bad)}
.pick{display:flex;flex-wrap:wrap;gap:8px}
.pick label{position:relative;flex-direction:row;font-weight:450}
.pick input{position:absolute;inset:0;width:100%;height:100%;min-height:0;opacity:0;cursor:pointer}
.pick span{padding:8px 15px;border-radius:18px;border:1px solid var(--line);transition:.15s}
.pick input:checked+span{background:var(--accent);border-color:var(--accent);color:var(--on)}
.pick input:focus-visible+span{outline:2px solid var(--accent);outline-offset:2px}
.main{min-height:46px;padding:0 20px;border-radius:13px;background:var(--accent);color:var(--on);font-weight:600;transition:filter .15s}
.main:hover{filter:brightness(1.07)}
.plain{min-height:40px;color:var(--muted);font-weight:500;border-radius:11px}
.plain:hover{background:var(--surface)}
.extra{display:flex;justify-content:center;margin-block-start:8px}
.extra button{display:flex;align-items:center;gap:7px;padding:5px 13px;border-radius:14px;font-size:13px;color:var(--muted);min-height:30px}
.extra button:hover{background:var(--surface)}
.extra svg{width:15px;height:15px}
.choices{display:flex;flex-wrap:wrap;gap:8px;margin-block-start:8px;max-width:84%}
.choices button{padding:8px 15px;min-height:38px;border-radius:19px;border:1px solid var(--accent);color:var(--accent);background:var(--bg);font-weight:550;text-align:start}
.choices button:hover{background:var(--surface)}
.rate{align-self:stretch;margin-block-start:12px;padding:15px;border-radius:16px;border:1px solid var(--line);display:flex;flex-direction:column;gap:11px;text-align:center}
.rate p{margin:0;font-weight:550}
.stars{display:flex;justify-content:center;gap:2px;border:0;padding:0;margin:0}
.stars button{width:42px;height:42px;display:grid;place-items:center;color:var(--line);border-radius:10px}
.stars button.on{color:#f5a524}
.stars svg{width:28px;height:28px;fill:currentColor;stroke:none}
.rate textarea{border:1px solid var(--line);border-radius:12px;background:none;padding:9px 12px;resize:none;text-align:start}
.drop{position:absolute;inset:8px;border-radius:14px;border:2px dashed var(--accent);background:color-mix(in srgb,var(--bg) 90%,var(--accent));display:grid;place-items:center;font-weight:600;pointer-events:none}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.foot{height:calc(4px + env(safe-area-inset-bottom))}
@media (max-width:520px){
  :host([data-open]){inset:0}
  :host([data-open]) .launch{display:none}
  .panel{position:fixed;inset:0!important;width:100%;max-width:none;height:100%;border:0;border-radius:0;animation:none}
  header{padding-block-start:calc(14px + env(safe-area-inset-top))}
  .write textarea,.sheet input,.sheet textarea,.sheet select,.rate textarea{font-size:16px}
}
@media (prefers-reduced-motion:reduce){*,*::before{animation:none!important;transition:none!important}}
@media (forced-colors:active){.bubble,.launch,.main,.go{border:1px solid}}
`;
