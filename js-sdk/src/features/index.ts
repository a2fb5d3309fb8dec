export { clicks } from "./clicks";
export { clipboard } from "./clipboard";
export { forms } from "./forms";
export { keys } from "./keys";
export { media } from "./media";
export { pointer } from "./pointer";
export { scroll } from "./scroll";
export { shop } from "./shop";
