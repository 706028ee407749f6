const { a, b: renamed, c: { deep } = {}, ...rest } = load(); // => variable a, variable renamed, variable deep, variable rest
const [first, , third = 3] = list; // => variable first, variable third
exports.create = function () {}; // => function create in exports
Router.prototype.use = function use() {}; // => method use in Router
app.send = () => 1; // => method send in app
module.exports = function () {};
app.put = app.post = function () {}; // => method put in app, method post in app
Queue.prototype = { push() {}, pop: function () {} }; // => method push in Queue, method pop in Queue
function Made() { // => function Made
  this.render = function () {}; // => method render in Made
}
const api = { // => variable api
  fetch: async () => 1, // => method fetch in api
  remove: function () {}, // => method remove in api
  method() {}, // => method method in api
  LIMIT: 3,
  'quoted key': () => 1, // => method quoted key in api
  nested: { run() {} }, // => method run in nested
};
class Store { // => class Store
  #secret = 1; // => field #secret in Store
  handler = () => {}; // => method handler in Store
  static count = 2; // => field count in Store
  get size() { return 1; } // => method size in Store
}
const Held = class { build() {} }; // => class Held, method build in Held
describe('a suite', () => {
  const local = 1;
  function helper() {} // => function helper
});
(function () {
  var hidden = 1;
})();
function* generated() { const own = 1; } // => function generated
