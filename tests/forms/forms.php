<?php
namespace App\Shapes; // => module Shapes
define('LIMIT', 10); // => constant LIMIT
const FIRST = 1, SECOND = 2; // => constant FIRST, constant SECOND
$closure = function ($a) { return $a; }; // => function closure
$arrow = fn($a) => $a; // => function arrow
abstract class Shape { // => class Shape
    const A = 1; // => constant A in Shape
    protected ?string $name, $other; // => field name in Shape, field other in Shape
    public function __construct(private readonly Repo $repo, int $plain) {} // => method __construct in Shape, field repo in Shape
    abstract function area(): int; // => method area in Shape
}
trait Logs { private $log = []; } // => interface Logs, field log in Logs
enum Suit: string { case Hearts = 'H'; } // => enum Suit, enumMember Hearts in Suit
