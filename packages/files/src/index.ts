export { FileText } from './file-text.js'
export { FileWatch } from './file-watch.js'
