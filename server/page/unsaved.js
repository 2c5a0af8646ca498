// What is changed on a page and not saved yet: it does not go without a question.

const nothing = () => false;
let changed = nothing;

/** `told` gives whether something on the page is not saved. Gives what ends that, for when the page is left. */
export function guard(told) {
  changed = told;
  return () => {
    if (changed === told) changed = nothing;
  };
}

/** Whether what is on the page may go. */
export function mayLeave() {
  return !changed() || confirm("What you have changed is not saved. Leave it?");
}

addEventListener("beforeunload", (event) => changed() && event.preventDefault());
