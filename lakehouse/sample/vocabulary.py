"""The words of the staffing sample: occupations with their skills, duties and wages, certifications, states.

Titles and wage ranges follow the US Standard Occupational Classification, ZIP prefixes the US Postal Service.

Belongs here: data alone. Not here: names and cities (they come from mimesis), how rows are drawn (see workers.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occupation:
    """A title with what people in it know and do; `wage` is the usual range in US dollars an hour."""

    title: str
    wage: tuple[int, int]
    skills: tuple[str, ...]
    duties: tuple[str, ...]
    certifications: tuple[str, ...]


_OCCUPATIONS = """
Electrician, 22 to 44
skills: conduit bending; panel wiring; blueprint reading; NEC code; motor controls; troubleshooting; cable pulling
duties: installed conduit and wiring to code; traced faults in control circuits; terminated panels and switchgear;
  read one-line diagrams
certifications: Journeyman Electrician License; NFPA 70E; OSHA-10; OSHA-30; CPR/First Aid

Welder, 19 to 36
skills: MIG welding; TIG welding; stick welding; flux-core; blueprint reading; plasma cutting; grinding
duties: welded structural steel in all positions; fitted and tacked assemblies; inspected beads for porosity;
  cut plate to drawing
certifications: AWS D1.1; AWS Certified Welder; OSHA-10; OSHA-30; CPR/First Aid

Forklift Operator, 17 to 25
skills: sit-down forklift; reach truck; order picker; RF scanner; load securing; dock safety; inventory counts
duties: unloaded trailers and staged pallets; replenished pick locations; inspected trucks before each shift;
  counted cycle locations
certifications: Forklift Certification; Reach Truck Certification; OSHA-10; OSHA-30; CPR/First Aid

Warehouse Associate, 16 to 22
skills: picking; packing; RF scanner; pallet jack; labeling; cycle counting; shrink wrapping
duties: picked and packed orders; loaded outbound trailers; put away received stock; kept aisles clear and swept
certifications: Forklift Certification; Hazmat Handling; OSHA-10; OSHA-30; CPR/First Aid

Machine Operator, 17 to 27
skills: machine setup; changeovers; micrometers; calipers; lockout/tagout; 5S; SPC charts
duties: ran stamping presses to rate; changed dies between jobs; checked parts against the drawing;
  logged downtime by cause
certifications: Lockout/Tagout; Lean Six Sigma Yellow Belt; OSHA-10; OSHA-30; CPR/First Aid

CNC Machinist, 21 to 38
skills: CNC turning; CNC milling; G-code; Fanuc controls; GD&T; CMM; tool offsets
duties: set up and ran 3-axis mills; edited programs at the control; held tolerances of 0.0005 in;
  inspected first articles
certifications: NIMS Machining Level I; NIMS CNC Operator; OSHA-10; OSHA-30; CPR/First Aid

Plumber, 22 to 43
skills: pipe threading; soldering; PEX; backflow; drain cleaning; blueprint reading; gas lines
duties: roughed in supply and waste lines; set fixtures and water heaters; tested lines under pressure;
  repaired leaks on call
certifications: Journeyman Plumber License; Backflow Prevention; OSHA-10; OSHA-30; CPR/First Aid

HVAC Technician, 21 to 38
skills: refrigerant recovery; brazing; ductwork; thermostats; electrical diagnostics; heat pumps;
  preventive maintenance
duties: serviced rooftop units and splits; diagnosed compressor faults; charged systems by superheat;
  replaced motors and boards
certifications: EPA 608 Universal; NATE; OSHA-10; OSHA-30; CPR/First Aid

Assembler, 16 to 23
skills: hand tools; power tools; torque wrenches; soldering; work instructions; kitting; visual inspection
duties: built sub-assemblies to work instructions; torqued fasteners to spec; kitted parts for the line;
  reworked rejected units
certifications: IPC-A-610; J-STD-001; OSHA-10; OSHA-30; CPR/First Aid

Quality Inspector, 19 to 31
skills: CMM; calipers; GD&T; SPC; ISO 9001; gauge R&R; nonconformance reports
duties: inspected incoming and first-piece parts; wrote nonconformance reports; calibrated gauges on schedule;
  audited lines against the control plan
certifications: ASQ CQI; Lean Six Sigma Green Belt; OSHA-10; OSHA-30; CPR/First Aid

Truck Driver, 21 to 35
skills: tractor-trailer; pre-trip inspection; ELD logs; load securement; route planning; backing; flatbed
duties: hauled dry van freight on regional lanes; kept electronic logs clean; secured flatbed loads;
  delivered on appointment
certifications: CDL Class A; Hazmat Endorsement; Tanker Endorsement; TWIC; DOT Medical Card

Carpenter, 20 to 37
skills: framing; finish carpentry; formwork; blueprint reading; power saws; layout; drywall
duties: framed walls and roofs to plan; set doors and trim; built concrete forms; laid out walls from drawings
certifications: NCCER Carpentry; Scaffold Competent Person; OSHA-10; OSHA-30; CPR/First Aid

Painter, 18 to 30
skills: spraying; surface preparation; drywall repair; color matching; lead-safe work; scaffolds; coatings
duties: prepared and primed surfaces; sprayed commercial interiors; repaired drywall before finish;
  masked and protected floors
certifications: EPA RRP Lead-Safe; NACE CIP Level 1; OSHA-10; OSHA-30; CPR/First Aid

Maintenance Technician, 21 to 36
skills: PLC troubleshooting; hydraulics; pneumatics; preventive maintenance; bearings; conveyors; CMMS
duties: kept packaging lines running; rebuilt pumps and gearboxes; closed work orders in the CMMS;
  traced PLC inputs and outputs
certifications: CMRT; Lockout/Tagout; OSHA-10; OSHA-30; CPR/First Aid

Material Handler, 16 to 23
skills: pallet jack; tugger; RF scanner; kanban; line feeding; SAP; staging
duties: fed assembly cells by kanban; moved stock between buildings; scanned transfers in SAP;
  staged kits for the next shift
certifications: Forklift Certification; Hazmat Handling; OSHA-10; OSHA-30; CPR/First Aid

Pipefitter, 24 to 44
skills: isometric drawings; orbital welding; pipe bending; rigging; threading; hydro testing; flange work
duties: fabricated spools from isometrics; set and aligned flanges; rigged pipe with chain falls;
  tested systems hydrostatically
certifications: UA Journeyman; NCCER Pipefitting; Rigger Level I; OSHA-10; OSHA-30; CPR/First Aid

Millwright, 24 to 42
skills: laser alignment; precision leveling; rigging; gearboxes; conveyors; blueprint reading; vibration analysis
duties: aligned motors and pumps by laser; installed conveyors and presses; rigged machinery into place;
  replaced bearings and seals
certifications: NCCER Millwright; Rigger Level I; OSHA-10; OSHA-30; CPR/First Aid

Janitor, 14 to 20
skills: floor care; burnishing; waste handling; chemical dilution; restroom sanitation; carpet extraction;
  trash removal
duties: cleaned offices and production areas; stripped and waxed floors; restocked supplies;
  handled waste by color code
certifications: Bloodborne Pathogens; CIMS; OSHA-10; OSHA-30; CPR/First Aid

Registered Nurse, 30 to 55
skills: patient assessment; IV therapy; Epic; medication administration; triage; wound care; charting
duties: cared for five patients a shift; administered medications; charted in Epic; trained new graduates
certifications: RN License; BLS; ACLS; PALS

Certified Nursing Assistant, 16 to 24
skills: vital signs; patient transfer; ADLs; charting; infection control; feeding; bathing
duties: assisted residents with daily living; took and recorded vital signs; turned and transferred patients;
  reported changes to the nurse
certifications: CNA License; BLS; CPR/First Aid

Medical Assistant, 17 to 25
skills: phlebotomy; EKG; rooming; vital signs; injections; scheduling; insurance verification
duties: roomed patients and took histories; drew blood and ran EKGs; verified insurance; kept exam rooms stocked
certifications: CMA (AAMA); RMA; BLS; Phlebotomy Certification

Pharmacy Technician, 17 to 25
skills: prescription intake; compounding; inventory; insurance claims; sterile technique; labeling; customer service
duties: filled and labeled prescriptions; resolved rejected claims; counted controlled stock;
  compounded under supervision
certifications: CPhT; Sterile Compounding; BLS

Customer Service Representative, 16 to 24
skills: call handling; CRM; data entry; conflict resolution; order entry; chat support; typing 60 wpm
duties: answered inbound calls; entered orders in the CRM; resolved complaints at first contact; documented every case
certifications: HDI Customer Service Representative; Bilingual Certification

Administrative Assistant, 18 to 28
skills: calendar management; Excel; Outlook; travel booking; minutes; filing; invoicing
duties: kept calendars for three managers; prepared reports in Excel; booked travel; processed invoices
certifications: Microsoft Office Specialist; Notary Public; CAP

Bookkeeper, 19 to 30
skills: accounts payable; accounts receivable; QuickBooks; reconciliation; payroll; Excel; month-end close
duties: reconciled bank accounts; ran payroll for sixty people; closed the books monthly; chased overdue invoices
certifications: QuickBooks ProAdvisor; Certified Bookkeeper

Line Cook, 15 to 22
skills: grill; saute; food safety; prep; plating; knife skills; inventory
duties: ran the grill on busy nights; prepped stations before service; kept logs of temperatures; trained new cooks
certifications: ServSafe Food Handler; ServSafe Manager; Allergen Training

Security Officer, 16 to 24
skills: access control; patrol; incident reports; CCTV; de-escalation; radio; visitor screening
duties: patrolled grounds and logged rounds; controlled access at the gate; wrote incident reports;
  watched cameras overnight
certifications: Guard Card; CPR/First Aid; Armed Guard License

Landscaper, 16 to 24
skills: mowing; irrigation; pruning; hardscape; skid steer; planting; snow removal
duties: maintained commercial grounds; repaired irrigation lines; laid pavers and edging; pruned trees and shrubs
certifications: Pesticide Applicator License; OSHA-10; OSHA-30; CPR/First Aid

Concrete Finisher, 19 to 33
skills: screeding; troweling; formwork; curing; saw cutting; stamping; grade reading
duties: placed and finished slabs; set forms to grade; cut control joints; stamped decorative work
certifications: ACI Flatwork Finisher; OSHA-10; OSHA-30; CPR/First Aid

Diesel Mechanic, 22 to 38
skills: engine diagnostics; air brakes; hydraulics; preventive maintenance; electrical; welding; DOT inspections
duties: overhauled diesel engines; serviced air brakes; ran DOT inspections; traced electrical faults
certifications: ASE T2 Diesel Engines; ASE T4 Brakes; CDL Class A; EPA 609
"""

# State, ZIP prefixes of three digits, area codes.
# fmt: off
STATES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("OH", ("430", "436", "441", "452"), ("614", "419", "216", "513")),
    ("MI", ("482", "485", "495"), ("313", "810", "616")),
    ("IN", ("462", "464", "468"), ("317", "219", "260")),
    ("IL", ("604", "606", "617"), ("815", "312", "309")),
    ("KY", ("402", "405", "410"), ("502", "859")),
    ("PA", ("152", "165", "191"), ("412", "814", "215")),
    ("TX", ("750", "770", "787"), ("214", "713", "512")),
    ("WI", ("532", "534", "543"), ("414", "262", "920")),
    ("MO", ("631", "641", "658"), ("314", "816", "417")),
    ("TN", ("372", "381", "379"), ("615", "901", "865")),
    ("NY", ("104", "132", "142"), ("718", "315", "716")),
    ("NJ", ("071", "076", "086"), ("973", "201", "609")),
    ("MA", ("018", "021", "027"), ("978", "617", "508")),
    ("CT", ("061", "065", "069"), ("860", "203")),
    ("NH", ("031", "033"), ("603",)),
    ("GA", ("303", "309", "314"), ("404", "706", "912")),
    ("FL", ("322", "331", "336"), ("904", "305", "813")),
    ("NC", ("272", "282", "288"), ("336", "704", "828")),
    ("AZ", ("850", "857"), ("602", "520")),
    ("CO", ("802", "809"), ("303", "719")),
    ("CA", ("900", "921", "945"), ("213", "619", "510")),
    ("WA", ("981", "984", "992"), ("206", "253", "509")),
    ("MN", ("551", "554", "558"), ("651", "612", "218")),
    ("AL", ("352", "361", "366"), ("205", "334", "251")),
)

EMPLOYERS = (
    "Lakeside Staffing", "Midwest Fabrication, Inc.", "Harbor Logistics", "Northgate Industrial",
    "Pioneer Foods, LLC", "Summit Medical Group", "Three Rivers Supply", "Valley Contractors",
    "Keystone Assembly, Inc.", "Great Lakes Freight",
)
TRAITS = (
    "Dependable", "Safety-minded", "Detail-oriented", "Hard-working", "Experienced", "Versatile", "Punctual",
    "Bilingual",
)
REMARKS = (
    'called "the steady hand" by two foremen', "available for nights, weekends and overtime",
    "never missed a shift in two years", 'lead on the "zero defects" team', "own tools, own transport",
    "trained six new hires", 'rated "would rehire" by every client', "comfortable in heat, cold and heights",
)
# fmt: on
STATUSES = ("active",) * 12 + ("on_assignment",) * 2 + ("inactive", "do_not_contact")


def _read(text: str) -> Occupation:
    head, skills, duties, certifications = re.split(r"\n(?:skills|duties|certifications): ", text.replace("\n  ", " "))
    title, low, high = re.split(r", | to ", head)
    split = (tuple(part.split("; ")) for part in (skills, duties, certifications))
    return Occupation(title, (int(low), int(high)), *split)


OCCUPATIONS = tuple(_read(block) for block in _OCCUPATIONS.strip().split("\n\n"))
