// Colour, width, filling: of what is drawn next, and of what is selected.

import { useEffect, useRef } from "react";
import type { JsonObject, ViewObject } from "../revcast.js";
import { colourOf, widthOf } from "../tools/change.js";
import { restyle } from "./actions.js";
import type { Board } from "./board.js";
import { COLOURS, useUi, WIDTHS } from "./ui.js";

export function StylePanel({ board }: { board: Board }) {
  const { ui } = board;
  const colour = useUi(ui, (state) => state.colour);
  const width = useUi(ui, (state) => state.width);
  const isFilled = useUi(ui, (state) => state.isFilled);
  const isHighlighter = useUi(ui, (state) => state.isHighlighter);
  const hasArrowhead = useUi(ui, (state) => state.hasArrowhead);

  const setColour = (value: string) => {
    ui.setState({ colour: value });
    restyle(board, (object) => colourOf(object, value));
  };
  return (
    <section className="style panel" aria-label="Colour and width" data-testid="style-panel">
      <fieldset className="swatches">
        <legend className="sr-only">Colour</legend>
        {COLOURS.map(({ value, name }) => (
          <button
            key={value}
            type="button"
            className="swatch-button"
            aria-label={name}
            aria-pressed={value === colour}
            title={name}
            data-testid={`colour-${value.slice(1)}`}
            onClick={() => setColour(value)}
          >
            <span className="swatch" style={{ backgroundColor: value }} />
          </button>
        ))}
        <AnyColour colour={colour} onPick={(value) => ui.setState({ colour: value })} onDone={setColour} />
      </fieldset>
      <fieldset className="widths">
        <legend className="sr-only">Width</legend>
        {WIDTHS.map(({ value, name }) => (
          <button
            key={value}
            type="button"
            className="tool"
            aria-label={name}
            aria-pressed={value === width}
            title={name}
            onClick={() => {
              ui.setState({ width: value });
              restyle(board, (object) => widthOf(object, value));
            }}
          >
            <span className="line" style={{ height: Math.max(2, Math.min(14, value)) }} />
          </button>
        ))}
      </fieldset>
      <div className="switches">
        <Switch
          label="Fill"
          isOn={isFilled}
          onChange={(is) => {
            ui.setState({ isFilled: is });
            restyle(board, (object) => fillOf(object, is, colour));
          }}
        />
        <Switch
          label="Highlighter"
          isOn={isHighlighter}
          onChange={(is) => ui.setState({ isHighlighter: is, tool: "pen" })}
        />
        <Switch
          label="Arrow head"
          isOn={hasArrowhead}
          onChange={(is) => ui.setState({ hasArrowhead: is, tool: "arrow" })}
        />
      </div>
    </section>
  );
}

/** `onPick` while one is looked for, `onDone` with the one that was chosen. */
function AnyColour({
  colour,
  onPick,
  onDone,
}: {
  colour: string;
  onPick: (colour: string) => void;
  onDone: (colour: string) => void;
}) {
  const ref = useRef<HTMLInputElement>(null);
  const done = useRef(onDone);
  done.current = onDone;
  useEffect(() => {
    // React's `onChange` is the event `input`: it comes for every colour on the way.
    const field = ref.current;
    const change = () => field !== null && done.current(field.value);
    field?.addEventListener("change", change);
    return () => field?.removeEventListener("change", change);
  }, []);
  const isCustom = COLOURS.every(({ value }) => value !== colour);
  return (
    <label className="swatch-button custom" title="Another colour" data-chosen={isCustom}>
      <span className="swatch" style={isCustom ? { backgroundColor: colour, backgroundImage: "none" } : {}} />
      <input
        ref={ref}
        type="color"
        aria-label="Another colour"
        value={colour}
        onChange={(event) => onPick(event.target.value)}
      />
    </label>
  );
}

function Switch({
  label,
  isOn,
  onChange,
}: {
  label: string;
  isOn: boolean;
  onChange: (is: boolean) => void;
}) {
  return (
    <label className="switch">
      <input
        type="checkbox"
        role="switch"
        aria-checked={isOn}
        checked={isOn}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>{label}</span>
    </label>
  );
}

function fillOf({ kind, props }: ViewObject, isFilled: boolean, colour: string): JsonObject {
  if (kind !== "rect" && kind !== "ellipse") return {};
  const stroke = typeof props.stroke === "string" ? props.stroke : colour;
  const isPlain = /^#[0-9a-f]{6}$/i.test(stroke);
  return { stroke, fill: isFilled ? (isPlain ? `${stroke}33` : stroke) : "none" };
}
