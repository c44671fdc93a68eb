// What is shown when a screen fails: words and a way on, in place of an empty page.

import { Component, type ReactNode } from "react";
import { Message } from "./message.js";

export class Mishap extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <Message
        title="Something went wrong"
        text="What was saved or stored on this device is still there. Load the page again to go on."
      >
        <button type="button" className="button primary" onClick={() => location.reload()}>
          Load again
        </button>
      </Message>
    );
  }
}
